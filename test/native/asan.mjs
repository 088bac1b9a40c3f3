/**
 * `npm run test:asan`: the addon built for the address sanitizer, and the tests of src/linux/ on it.
 * All of it happens in a copy, build/asan/, so that the product never loads that addon. A report of
 * the sanitizer is a failure, whatever the tests say; a leak at exit is not looked for, because
 * Node leaves much to the kernel then.
 */
import '../../scripts/setup/require-node.mjs'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { printSummary, runVitest } from '../../scripts/lib/summary.mjs'
import { run } from '../../scripts/setup/child.mjs'
import { headerEnvironment, npmCommand } from '../../scripts/setup/npm.mjs'
import { at, filesBelow } from '../../scripts/setup/paths.mjs'
import { setup } from '../../scripts/setup.mjs'

const COPY = at('build/asan')
const ADDON = path.join(COPY, 'native/build/Release/pasidd.node')
const TIMEOUT_MS = 8 * 60_000

/** The sanitizer's library, as the compiler knows it; undefined when it is not installed. */
function sanitizer() {
  try {
    const compiler = (process.env.CXX ?? 'g++').split(' ')[0]
    const name = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' })
    return path.isAbsolute(name.trim()) ? fs.realpathSync(name.trim()) : undefined
  } catch {
    return undefined
  }
}

function copySources() {
  fs.rmSync(COPY, { recursive: true, force: true })
  const isOurs = (file) => /^test\/(native\/|[a-z]+\/linux-)/.test(file)
  const files = [
    ...filesBelow('native', ['.cc', '.h', '.gyp']).filter((file) => !file.includes('/build/')),
    ...filesBelow('src/linux', ['.ts']),
    ...filesBelow('test', ['.ts']).filter(isOurs),
    ...['package.json', 'tsconfig.json', 'vitest.config.ts'],
    // The configuration has a part of these.
    ...filesBelow('test/kernel', ['.ts', '.mjs']),
  ]
  for (const file of files) {
    fs.mkdirSync(path.dirname(path.join(COPY, file)), { recursive: true })
    fs.copyFileSync(at(file), path.join(COPY, file))
  }
  fs.symlinkSync(at('node_modules'), path.join(COPY, 'node_modules'))
}

async function build() {
  const [command, prefixArgs] = npmCommand()
  const args = [...prefixArgs, 'run', 'build:native', '--', '--asan=1']
  const done = await run(command, args, { cwd: COPY, env: headerEnvironment() })
  if (done.code !== 0) return `the addon does not compile for the sanitizer:\n${done.output}`
  // One that loads without the sanitizer's library is not watched by it.
  const alone = await run(process.execPath, ['-e', `require(${JSON.stringify(ADDON)})`])
  return alone.code === 0 ? 'the addon was built without the sanitizer' : undefined
}

/** What the sanitizer wrote: a file for each process in which it found something. */
function reports() {
  const names = fs.readdirSync(COPY).filter((name) => name.startsWith('report.'))
  return names.map((name) => fs.readFileSync(path.join(COPY, name), 'utf8'))
}

async function main() {
  const empty = { passed: 0, failed: 0, skipped: [], failures: [] }
  const library = sanitizer()
  if (library === undefined) {
    const reason = 'the compiler has no address sanitizer (libasan) here'
    return { ...empty, skipped: [{ name: 'test:asan', reason }] }
  }
  copySources()
  const fault = await build()
  if (fault !== undefined) return { ...empty, failed: 1, failures: [fault] }
  process.env.LD_PRELOAD = library
  process.env.ASAN_OPTIONS = `detect_leaks=0:log_path=${path.join(COPY, 'report')}`
  // The sanitizer slows everything down, and no test here is about time.
  const args = ['--root', COPY, '--testTimeout=240000', '--hookTimeout=240000']
  const projects = ['unit', 'integration']
  const { summary } = await runVitest({ projects, timeoutMs: TIMEOUT_MS, args })
  for (const report of reports()) {
    summary.failed++
    summary.failures.push(`the address sanitizer reports:\n${report}`)
  }
  return summary
}

await setup({ compiled: false })
const summary = await main()
printSummary(summary)
process.exitCode = summary.failed === 0 ? 0 : 1
