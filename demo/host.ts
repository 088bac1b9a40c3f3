/**
 * A pasidd of the demo's own, in this process: real sockets and a real ledger in a folder that is
 * made for it and goes with it, and one emulated device that several guests share.
 */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { OperatorClient, PasidClient } from '../src/client/index.js'
import { readConfig } from '../src/daemon/config/read.js'
import { openLogs } from '../src/daemon/logs.js'
import { startDaemon, type RunningDaemon } from '../src/daemon/start.js'

export const DEVICE = 'emu0'

function configText(folder: string): string {
  return `[daemon]
state_dir = "${folder}/state"
vmm_socket = "${folder}/vmm/pasid.sock"
admin_socket = "${folder}/admin/pasid.sock"
log_level = "warn"

[[backend.device]]
name = "${DEVICE}"
translation = "MEDIATED"
shared = true
`
}

export interface Host {
  readonly folder: string
  readonly daemon: RunningDaemon
  readonly vmm: PasidClient
  readonly operator: OperatorClient
  /** Ends clients and daemon; the folder stays until `remove`. Repeatable. */
  stop(): Promise<void>
  remove(): void
}

export async function startHost(onLog: (line: string) => void): Promise<Host> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-demo-'))
  const remove = () => fs.rmSync(folder, { recursive: true, force: true })
  // Also when the process is told to end in the middle.
  process.once('exit', remove)
  const layout = {
    stateDir: `${folder}/state`,
    vmmSocket: `${folder}/vmm/pasid.sock`,
    adminSocket: `${folder}/admin/pasid.sock`,
    homes: [folder],
  }
  const result = readConfig({ text: configText(folder), file: 'demo.toml', layout })
  if (!result.ok) throw new Error(result.problems.join('\n'))
  const logs = openLogs({ level: result.config.logLevel, sink: { write: onLog } })
  const daemon = await startDaemon(result.config, { logs })
  const vmm = new PasidClient({ socket: daemon.vmmSocket })
  const operator = new OperatorClient({ socket: daemon.adminSocket })
  const stop = async () => {
    vmm.close()
    operator.close()
    await daemon.stop()
  }
  return {
    folder,
    daemon,
    vmm,
    operator,
    stop,
    remove: () => {
      process.off('exit', remove)
      remove()
    },
  }
}
