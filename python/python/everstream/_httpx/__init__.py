"""HTTP over httpx or httpx2, for those who bring a client of theirs.

Neither is imported here: a client of theirs can only come from one that is imported already.
:mod:`settings` has what is the same for both kinds of clients, :mod:`request` what is sent and
:mod:`failures` what errors mean. :mod:`blocking` and :mod:`asynchronous` move the bytes.
"""
