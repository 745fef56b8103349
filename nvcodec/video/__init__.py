"""Video files in and out: the only part of nvcodec that touches PyAV.

    reader.py   a file, still image, pipe -> frames (uint8 RGB) with their timestamps
    writer.py   frames with their timestamps -> mp4, mov, mkv, webm, y4m, png
    audio.py    compressed audio packets, copied from one file to another
    color.py    YUV <-> RGB with the matrix and range the stream names
    atomic.py   a target appears under its name only when it is whole (imports no PyAV)

Import the modules themselves: this package imports none of them, so that a tool which needs only
`atomic` does not load FFmpeg.
"""
