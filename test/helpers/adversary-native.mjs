/**
 * `pasidd run` on a host that is made up of files: the daemon of dist/, as a process whose
 * descriptors can be counted. Arguments: the configuration, and where / of the host is.
 */
import process from 'node:process'
import { loadConfig } from '../../dist/daemon/config/load.js'
import { openLogs } from '../../dist/daemon/logs.js'
import { startDaemon } from '../../dist/daemon/start.js'

const [file, hostRoot] = process.argv.slice(2)
const loaded = loadConfig({ config: file })
if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
const { config } = loaded
const logs = openLogs({ level: config.logLevel })
// Not caught here: a bug ends the process, and the test sees that.
const daemon = await startDaemon(config, { logs, hostRoot })
await new Promise((resolve) => process.on('SIGTERM', resolve))
await daemon.stop()
logs.flush()
process.exit(0)
