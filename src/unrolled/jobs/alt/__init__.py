"""Alt attributes for the images of web pages: put in by position, and nothing else is changed."""
