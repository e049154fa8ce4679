// Stands in for the library of another version: only its name is looked at.
int CaffeOfAnotherVersion() { return 9; }
