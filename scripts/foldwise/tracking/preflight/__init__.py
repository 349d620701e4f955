"""Before a long run: is it safe to walk away?"""
