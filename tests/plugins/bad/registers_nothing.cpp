int RegistersNothing() { return 0; }
