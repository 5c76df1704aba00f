"""The language of scans: text -> tree -> checked tree -> answers over arrays. Reads no file and no database."""
