/**
 * A vitest reporter that only counts: it writes what passed, failed and was skipped, with each
 * skip's reason, to the file named by PASIDD_SUMMARY. scripts/test.mjs prints it last. A file that
 * does not load, a hook that throws and an unhandled error are failures too.
 */
import fs from 'node:fs'

const NO_REASON = 'no reason was given'

export default class SummaryReporter {
  #vitest

  onInit(vitest) {
    this.#vitest = vitest
  }

  onTestRunEnd(modules, unhandledErrors) {
    const summary = { passed: 0, failed: 0, skipped: [], failures: [] }
    const pattern = this.#vitest.config.testNamePattern
    for (const module of modules) countModule(module, pattern, summary)
    for (const error of unhandledErrors) fail(summary, `unhandled error: ${error.message}`)
    const file = process.env.PASIDD_SUMMARY
    if (file !== undefined) fs.writeFileSync(file, JSON.stringify(summary))
  }
}

function fail(summary, name) {
  summary.failed++
  summary.failures.push(name)
}

function isBroken(scope) {
  return scope.errors().length > 0 || (scope.parent !== undefined && isBroken(scope.parent))
}

function countModule(module, pattern, summary) {
  const file = module.relativeModuleId
  for (const scope of [module, ...module.children.allSuites()]) {
    if (scope.errors().length === 0) continue
    const place = scope === module ? file : `${file} > ${scope.fullName}`
    fail(summary, `${place}: did not load, or a hook failed`)
  }
  for (const test of module.children.allTests()) {
    const name = `${file} > ${test.fullName}`
    const { state, note } = test.result()
    if (state === 'passed') summary.passed++
    else if (state === 'failed') fail(summary, name)
    else if (pattern === undefined || pattern.test(test.fullName.replaceAll(' > ', ' '))) {
      const reason = note ?? (isBroken(test.parent) ? 'a hook before it failed' : NO_REASON)
      summary.skipped.push({ name, reason })
    }
  }
}
