"""HTTP over a client of httpx or httpx2.

Neither library is imported here: the code that passes a client has imported its library already.
:mod:`settings` is shared by both kinds of clients, :mod:`request` builds requests and
:mod:`failures` translates exceptions. :mod:`blocking` and :mod:`asynchronous` transfer the bytes.
"""
