#!/usr/bin/env node
'use strict';
// The SDK's versions are pinned, so its note on future Node versions is nothing that an operator can act on.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
// The CLI runs from its TypeScript source: tsx compiles it on the way in.
require('tsx/cjs');
require('./mlcdn.ts');
