/**
 * `node scripts/with-setup.mjs FILE ...`: the set-up, then FILE in this process. A .mjs file runs
 * as it is, a .ts file from its compiled form in build/.
 */
import './setup/require-node.mjs'
import { existsSync } from 'node:fs'
import { setup } from './setup.mjs'
import { buildTools } from './setup/build-tools.mjs'
import { watchParent } from './setup/child.mjs'
import { at } from './setup/paths.mjs'

const [file, ...rest] = process.argv.slice(2)
if (file === undefined || !existsSync(at(file))) {
  process.stderr.write(`with-setup: there is no file ${String(file)}\n`)
  process.exit(2)
}
await setup()
watchParent(() => process.kill(process.pid, 'SIGTERM'))
let entry = at(file)
if (file.endsWith('.ts')) {
  await buildTools()
  entry = at('build', file.replace(/\.ts$/, '.js'))
}
process.argv.splice(1, process.argv.length - 1, entry, ...rest)
await import(entry)
