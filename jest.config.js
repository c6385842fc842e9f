/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  transform: {
    '^.+\\.tsx?$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/cdk.out', '<rootDir>/.build', '<rootDir>/.mlcdn'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testTimeout: 30_000,
  // One less, the default, leaves half of a machine of two cores idle while a test waits for its servers.
  maxWorkers: '100%',
  // A worker that has run a hundred files holds over a gigabyte, which takes longer to give back than the default of half a
  // second. One that something still keeps alive is told of all the same.
  workerGracefulExitTimeout: 15_000,
};
