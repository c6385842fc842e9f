#!/usr/bin/env node
'use strict';
// The CLI runs from its TypeScript source: tsx compiles it on the way in.
require('tsx/cjs');
require('./mlcdn.ts');
