"""What is asked and what is right: prompts, answers, grading.

Knows: text. Refuses to know: tokens, models.
"""
