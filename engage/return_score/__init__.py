"""The return score: the chance that a customer buys in the next window, learnt from past windows. No database here.

``features`` says which numbers it looks at, ``logit`` learns from them, ``evaluation`` tests what was learnt on windows
that it has not seen, ``model`` scores, and ``explanation`` says why a score is high or low.
"""
