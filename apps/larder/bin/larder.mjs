#!/usr/bin/env node
// npm links commands when it installs, before there is a build: the link needs a file that is always here.
import '../dist/main.js';
