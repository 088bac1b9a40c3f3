/** Which socket operators call on, and what is the matter when nobody answers there. */

import fs from 'node:fs'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { CliFailure, EXIT } from './exits.js'

const SYSTEM_SOCKET = '/run/pasidd/admin/pasid.sock'
const PROBE_MS = 1000

function packageSocket(): string {
  return fileURLToPath(new URL('../../var/admin/pasid.sock', import.meta.url))
}

/** As told; else this package's own daemon if it has a socket; else that of the system. */
export function chooseSocket(
  told: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const named = told ?? environment['PASIDCTL_SOCKET']
  if (named !== undefined && named !== '') return named
  const own = packageSocket()
  return fs.existsSync(own) ? own : SYSTEM_SOCKET
}

function connectError(socket: string): Promise<string> {
  return new Promise((resolve) => {
    const connection = net.connect(socket)
    const end = (code: string) => {
      connection.destroy()
      resolve(code)
    }
    connection.setTimeout(PROBE_MS, () => end('ETIMEDOUT'))
    connection.once('connect', () => end(''))
    connection.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? ''))
  })
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ENOTDIR: 'there is no such socket',
  ECONNREFUSED: 'it is there, but no daemon listens on it',
  ENOTSOCK: 'that is no socket',
  ETIMEDOUT: 'the daemon does not accept connections in time',
}

/** Why the daemon cannot be reached, and what to do. */
export async function explainUnreachable(socket: string, details: string): Promise<CliFailure> {
  const code = await connectError(socket)
  if (code === 'EACCES' || code === 'EPERM') {
    const text = `not permitted to connect to ${socket}: only its owner and group are operators`
    return new CliFailure(`${text}\n  run pasidctl as one of them`, EXIT.NO_PERMISSION)
  }
  const problem = PROBLEMS[code] ?? (code === '' ? details : code)
  const lines = [
    `the daemon does not answer on ${socket}: ${problem}`,
    '  start it: npm start (in its folder), or systemctl start pasidd',
    '  or name another socket: --socket PATH, or PASIDCTL_SOCKET',
  ]
  return new CliFailure(lines.join('\n'), EXIT.UNAVAILABLE)
}
