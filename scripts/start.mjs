/**
 * `npm start [-- arguments]`: the set-up, then the daemon in this very process, so that signals
 * reach it directly. npm 11 dies on SIGTERM and leaves its child, with a shell in between: when npm
 * is gone, we send ourselves SIGTERM, which the daemon handles like any other; so it need not watch
 * its parent itself.
 */
import './setup/require-node.mjs'
import { setup } from './setup.mjs'
import { watchParent } from './setup/child.mjs'
import { at } from './setup/paths.mjs'

await setup()
watchParent(() => process.kill(process.pid, 'SIGTERM'))
const { main } = await import(at('dist/daemon/main.js'))
await main({ argv: process.argv.slice(2), parentWatch: false })
