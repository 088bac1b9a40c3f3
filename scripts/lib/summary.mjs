/** Summaries of test runs: running vitest for one, reading it, printing it. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { run } from '../setup/child.mjs'
import { at, readOr } from '../setup/paths.mjs'

/** The last line of every run: `N passed, N failed`, and the skipped when there are any. */
export function countLine({ passed, failed, skipped }) {
  const counts = `${passed} passed, ${failed} failed`
  return skipped.length === 0 ? counts : `${counts}, ${skipped.length} skipped`
}

/** A line for each skipped test and each failure, then the count. */
export function printSummary(summary) {
  const lines = ['']
  for (const { name, reason } of summary.skipped) lines.push(`skipped, because ${reason} (${name})`)
  for (const failure of summary.failures) lines.push(`failed: ${failure}`)
  lines.push(countLine(summary))
  process.stdout.write(`${lines.join('\n')}\n`)
}

/**
 * Runs vitest on the projects and answers with the summary. A run that ends badly has at least one
 * failure, also when no test says so: killed, out of time, or without a single test.
 */
export async function runVitest({ projects, timeoutMs, args = [], inherit = true }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-test-'))
  const file = path.join(folder, 'summary.json')
  const options = [
    ...projects.flatMap((project) => ['--project', project]),
    '--reporter=default',
    `--reporter=${at('scripts/lib/vitest-summary.mjs')}`,
  ]
  const command = [at('node_modules/vitest/vitest.mjs'), 'run', ...options, ...args]
  try {
    const done = await run(process.execPath, command, {
      cwd: at('.'),
      inherit,
      timeoutMs,
      env: { PASIDD_SUMMARY: file },
    })
    return { summary: judge(readOr(file), done, timeoutMs), output: done.output }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

function judge(text, { code, timedOut }, timeoutMs) {
  const summary =
    text === '' ? { passed: 0, failed: 0, skipped: [], failures: [] } : JSON.parse(text)
  const fail = (why) => {
    summary.failed++
    summary.failures.push(why)
  }
  if (timedOut) fail(`the run took longer than ${timeoutMs / 60_000} minutes and was ended`)
  else if (summary.failed === 0 && summary.passed === 0) fail('no test ran')
  else if (summary.failed === 0 && code !== 0) fail(`vitest ended with exit code ${code}`)
  return summary
}
