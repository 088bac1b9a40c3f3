/** What must hold of the sockets' paths: short enough, and each in a folder of its kind. */

import path from 'node:path'
import type { Problem } from './document.js'
import { keyText } from './checks.js'
import type { PlacedSocket, PlacedSockets } from './sockets.js'

/**
 * sockaddr_un.sun_path is 108 bytes with its final NUL (unix(7)). Node 20 cuts a longer one off and
 * listens on another name, so it is refused here, in bytes.
 */
export const SOCKET_PATH_BYTES_MAX = 107

function bytesOf({ socket }: PlacedSocket): number {
  return Buffer.byteLength(socket.path)
}

function checkLengths(sockets: readonly PlacedSocket[]): Problem[] {
  const problems: Problem[] = []
  for (const placed of sockets) {
    const { socket, key, beside } = placed
    const bytes = bytesOf(placed)
    if (bytes <= SOCKET_PATH_BYTES_MAX) continue
    // One problem is enough: when its neighbour is well, this one is looked at again.
    if (beside !== undefined && bytesOf(beside) > SOCKET_PATH_BYTES_MAX) continue
    const place = beside === undefined ? '' : ` beside ${keyText(beside.key)}`
    const bound = `a socket's path has at most ${SOCKET_PATH_BYTES_MAX}`
    const text = `is ${socket.path}${place}, ${bytes} bytes long, ${bound}; choose a shorter one`
    problems.push({ path: key, text })
  }
  return problems
}

/** Every path once, and none beside the ledger. */
function checkPlaces(sockets: readonly PlacedSocket[], stateDir: string): Problem[] {
  const problems: Problem[] = []
  const seen = new Set<string>()
  for (const { socket, key, beside } of sockets) {
    if (seen.has(socket.path)) {
      problems.push({ path: key, text: `is ${socket.path}, as another socket is; choose another` })
    }
    seen.add(socket.path)
    if (path.dirname(socket.path) === stateDir && beside === undefined) {
      const text = `is in ${stateDir}, where the ledger is; give sockets a folder of their own`
      problems.push({ path: key, text })
    }
  }
  return problems
}

/** In one folder, under different names. */
function isNeighbour(a: PlacedSocket, b: PlacedSocket): boolean {
  if (a.socket.path === b.socket.path) return false
  return path.dirname(a.socket.path) === path.dirname(b.socket.path)
}

/** What VMMs and their managers connect to is in other folders than what operators connect to. */
function checkFolders({ admin, metrics, vmms, fds }: PlacedSockets): Problem[] {
  const named = ({ beside }: PlacedSocket) => beside === undefined
  const vmmSide = [...vmms, fds].filter(named)
  const problems: Problem[] = []
  for (const one of vmmSide.filter((side) => isNeighbour(side, admin))) {
    const text = 'as the admin socket is; two folders keep VMMs from operators'
    problems.push({ path: one.key, text: `is in ${path.dirname(one.socket.path)}, ${text}` })
  }
  const other = vmmSide.find((side) => named(metrics) && isNeighbour(side, metrics))
  if (other !== undefined) {
    const text = `as ${keyText(other.key)} is; metrics tell of all tenants, keep them from VMMs`
    const folder = path.dirname(metrics.socket.path)
    problems.push({ path: metrics.key, text: `is in ${folder}, ${text}` })
  }
  return problems
}

export function checkSockets(sockets: PlacedSockets, stateDir: string): Problem[] {
  const { admin, metrics, vmms, fds } = sockets
  const all = [admin, ...vmms, fds, metrics]
  return [...checkLengths(all), ...checkPlaces(all, stateDir), ...checkFolders(sockets)]
}
