/** The daemon's sockets as configured: where each is, and who may connect. */

import path from 'node:path'
import type { Layout } from '../layout.js'
import type { SocketConfig, VmmSocketConfig } from './config.js'
import type { Document } from './document.js'
import type { KeyPath } from './lines.js'
import type { TenantEntry } from './schema.js'

const VMM_MODE = 0o660
const VMM_DIRECTORY_MODE = 0o750
const ADMIN_MODE = 0o600
const ADMIN_DIRECTORY_MODE = 0o700
const METRICS_MODE = 0o660
const FD_NAME = 'fds.sock'
const METRICS_NAME = 'metrics.sock'

export interface PlacedSocket<S extends SocketConfig = SocketConfig> {
  readonly socket: S
  /** The key that names it. */
  readonly key: KeyPath
  /** The socket that it is beside, when no key names it. */
  readonly beside?: PlacedSocket | undefined
}

export interface PlacedSockets {
  readonly admin: PlacedSocket
  readonly metrics: PlacedSocket
  /** The main one first. */
  readonly vmms: readonly PlacedSocket<VmmSocketConfig>[]
  readonly fds: PlacedSocket
}

export function socketsOf(document: Document, layout: Layout): PlacedSockets {
  const { daemon, tenants } = document
  const admin = adminSocketOf(document, layout)
  const main = mainSocketOf(document, layout)
  const own = tenants.valid.flatMap(({ value, path: entry }) => {
    const at = value.socket
    return at === undefined ? [] : [{ socket: tenantSocket(value, at), key: [...entry, 'socket'] }]
  })
  const fds = besideSocket(main, {
    name: FD_NAME,
    key: ['daemon', 'fd_socket'],
    path: daemon.fd_socket,
    owner: daemon.fd_owner,
    group: daemon.fd_group,
    mode: daemon.fd_mode ?? VMM_MODE,
    directoryMode: daemon.fd_directory_mode,
  })
  const metrics = besideSocket(admin, {
    name: METRICS_NAME,
    key: ['daemon', 'metrics_socket'],
    path: daemon.metrics_socket,
    owner: daemon.metrics_owner,
    group: daemon.metrics_group,
    mode: daemon.metrics_mode ?? METRICS_MODE,
    directoryMode: daemon.metrics_directory_mode,
  })
  return { admin, metrics, vmms: [main, ...own], fds }
}

function adminSocketOf({ daemon }: Document, layout: Layout): PlacedSocket {
  const socket: SocketConfig = {
    path: daemon.admin_socket ?? layout.adminSocket,
    owner: daemon.admin_owner,
    group: daemon.admin_group,
    mode: daemon.admin_mode ?? ADMIN_MODE,
    directoryMode: daemon.admin_directory_mode ?? ADMIN_DIRECTORY_MODE,
  }
  return { socket, key: ['daemon', 'admin_socket'] }
}

function mainSocketOf({ daemon }: Document, layout: Layout): PlacedSocket<VmmSocketConfig> {
  const socket: VmmSocketConfig = {
    tenant: daemon.vmm_tenant,
    path: daemon.vmm_socket ?? layout.vmmSocket,
    owner: daemon.vmm_owner,
    group: daemon.vmm_group,
    mode: daemon.vmm_mode ?? VMM_MODE,
    directoryMode: daemon.vmm_directory_mode ?? VMM_DIRECTORY_MODE,
  }
  return { socket, key: ['daemon', 'vmm_socket'] }
}

function tenantSocket(entry: TenantEntry, at: string): VmmSocketConfig {
  return {
    tenant: entry.name,
    path: at,
    owner: entry.socket_owner,
    group: entry.socket_group,
    mode: entry.socket_mode ?? VMM_MODE,
    directoryMode: entry.socket_directory_mode ?? VMM_DIRECTORY_MODE,
  }
}

interface Beside {
  readonly name: string
  readonly key: KeyPath
  readonly path: string | undefined
  readonly owner: string | undefined
  readonly group: string | undefined
  readonly mode: number
  readonly directoryMode: number | undefined
}

/** A socket that is in another's folder unless configured otherwise; a folder has one mode. */
function besideSocket(neighbour: PlacedSocket, own: Beside): PlacedSocket {
  const { name, key, owner, group, mode } = own
  const folder = path.dirname(neighbour.socket.path)
  const directoryMode = own.directoryMode ?? neighbour.socket.directoryMode
  const at = own.path ?? path.join(folder, name)
  const socket = { path: at, owner, group, mode, directoryMode }
  return { socket, key, beside: own.path === undefined ? neighbour : undefined }
}
