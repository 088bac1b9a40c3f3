/**
 * A daemon with devices of each kind, and clients that can send whatever bytes: what the tests of
 * the service floor stand on. `packet` builds bytes that no honest encoder would make.
 */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js'
import { decodeStatus, STATUS_DETAILS_KEY, type StatusFacts } from '../../src/wire/details.js'
import {
  operatorDefinition,
  pasidBrokerDefinition,
  vfioUapiDefinition,
} from '../../src/wire/load.js'
import type { OperatorMethod, UapiMethod, VmmMethod } from '../../src/wire/messages.js'
import { canonicalLines } from './canonical.js'
import { startInProcess, type InProcessDaemon, type InProcessOptions } from './daemon.js'

/** vf0 numbers by itself, 8 bits wide; arm0 takes no nested table; nic0 has 16 bits. */
export const DEVICES_TOML = `
[namespace]
session_max_pasids = 4000
reservations = [{ first = 1, last = 255, reason = "host kernel" }]

[[tenant]]
name = "default"
window = { first = 1, last = 100000 }
devices = [
  { name = "mdev0" }, { name = "nic0" }, { name = "arm0" }, { name = "vf0", scope = "DEVICE" },
]

[[backend.device]]
name = "mdev0"
shared = true

[[backend.device]]
name = "nic0"
translation = "NONE"
pasid_bits = 16

[[backend.device]]
name = "arm0"
platform = "ARM_SMMUV3"
address_widths = []

[[backend.device]]
name = "vf0"
translation = "NONE"
pasid_bits = 8

[[backend.device]]
name = "other0"
`

export type Method =
  | `PasidBroker/${Exclude<VmmMethod, 'Control'>}`
  | `Operator/${Exclude<OperatorMethod, 'Watch'>}`
  | `VfioUapi/${UapiMethod}`

const DEFINITIONS: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  PasidBroker: pasidBrokerDefinition,
  Operator: operatorDefinition,
  VfioUapi: vfioUapiDefinition,
}

export function definitionOf(method: Method): MethodDefinition<object, object> {
  const [service = '', name = ''] = method.split('/')
  return DEFINITIONS[service]?.[name] as MethodDefinition<object, object>
}

export function encode(method: Method, message: object): Buffer {
  return definitionOf(method).requestSerialize(message)
}

/** Tagged fields by hand. */
export const packet = {
  varint(field: number, value: bigint | number): Buffer {
    return Buffer.concat([varint(BigInt(field) << 3n), varint(BigInt(value))])
  },
  bytes(field: number, value: Uint8Array | string): Buffer {
    const bytes = Buffer.from(value)
    return Buffer.concat([varint((BigInt(field) << 3n) | 2n), varint(BigInt(bytes.length)), bytes])
  },
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

export type Reply =
  | { readonly ok: true; readonly message: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly refusal: Refused }

export interface Refused extends StatusFacts {
  /** How many ErrorInfo details there are. */
  readonly infos: number
  /** grpc-message, as it came. */
  readonly details: string
}

/** What a trailer or a ControlError says. */
export function refusedBy(code: number, details: string, bytes: Uint8Array): Refused {
  const facts = decodeStatus(bytes)
  const infos = Status.decode(bytes).details.filter(({ typeUrl }) => typeUrl.endsWith('ErrorInfo'))
  if (facts.code !== code) throw new Error(`code ${code} outside, ${facts.code} inside`)
  return { ...facts, infos: infos.length, details }
}

const asIs = (bytes: Buffer): Buffer => bytes

/** Sends bytes, reads answers. */
export class RawClient {
  readonly client: Client

  constructor(socket: string, options: object = {}) {
    const own = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0, ...options }
    this.client = new Client(`unix:${socket}`, credentials.createInsecure(), own)
  }

  send(method: Method, bytes: Buffer, token?: string): Promise<Reply> {
    const { path, responseDeserialize } = definitionOf(method)
    return new Promise((resolve, reject) => {
      const end = (error: ServiceError | null, answer?: Buffer): void => {
        if (error === null) {
          const message = responseDeserialize(answer ?? Buffer.alloc(0))
          resolve({ ok: true, message: message as Record<string, unknown> })
          return
        }
        const [status] = error.metadata.get(STATUS_DETAILS_KEY)
        if (status === undefined) reject(error)
        else {
          const refusal = refusedBy(error.code, error.details, status as Buffer)
          resolve({ ok: false, refusal })
        }
      }
      this.client.makeUnaryRequest(path, asIs, asIs, bytes, metadataOf(token), end)
    })
  }

  call(method: Method, message: object, token?: string): Promise<Reply> {
    return this.send(method, encode(method, message), token)
  }

  /** @throws when the answer is no */
  async must(method: Method, message: object, token?: string) {
    const reply = await this.call(method, message, token)
    if (!reply.ok) throw new Error(`${method}: ${reply.refusal.message}`)
    return reply.message
  }

  close(): void {
    this.client.close()
  }
}

export function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata()
  if (token !== undefined) metadata.set('pasid-session-token', token)
  return metadata
}

export interface TestSession {
  /** `sessions/{id}`. */
  readonly name: string
  readonly token: string
}

export class ServiceRig {
  readonly vmm: RawClient
  readonly admin: RawClient

  private constructor(readonly daemon: InProcessDaemon) {
    this.vmm = new RawClient(daemon.vmmSocket)
    this.admin = new RawClient(daemon.adminSocket)
  }

  static async start(options: InProcessOptions = {}): Promise<ServiceRig> {
    return new ServiceRig(await startInProcess({ toml: DEVICES_TOML, ...options }))
  }

  async openSession(devices: readonly string[] = []): Promise<TestSession> {
    const opened = await this.vmm.must('PasidBroker/OpenSession', {})
    const { name } = opened['session'] as { name: string }
    const session = { name, token: opened['token'] as string }
    for (const device of devices) {
      const message = { session: name, device: `devices/${device}` }
      await this.vmm.must('PasidBroker/AttachDevice', message, session.token)
    }
    return session
  }

  /** The whole state with its revision: the same text = nothing has changed. */
  everything(but: { readonly revision?: false } = {}): string {
    const { state } = this.daemon.broker
    const head = but.revision === false ? [] : [`revision ${state.revision}`]
    return [...head, ...canonicalLines(state)].join('\n')
  }

  close(): void {
    this.vmm.close()
    this.admin.close()
  }
}
