/**
 * The emulator's laboratory (EmulatorLab) from the admin socket: what can be done with a software
 * IOMMU beside what its VMMs do. 64-bit numbers are taken as BigInt or text, and answered as text.
 */

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { EmulatorLabDefinition } from '../wire/generated/pasid/v1/EmulatorLab.js'
import type { GetEmulatorResponse__Output } from '../wire/generated/pasid/v1/GetEmulatorResponse.js'
import type { RecordedFault__Output } from '../wire/generated/pasid/v1/RecordedFault.js'
import type { TranslateResponse__Output } from '../wire/generated/pasid/v1/TranslateResponse.js'
import type { WatchFaultsResponse__Output } from '../wire/generated/pasid/v1/WatchFaultsResponse.js'
import { emulatorLabDefinition } from '../wire/load.js'
import { metadataFor, type Channel, type Method } from './channel.js'
import { durationOf } from './duration.js'
import { errorOfCall } from './error.js'

const METHODS = emulatorLabDefinition
const READ = { repeatable: true } as const

type RequestOf<Name extends keyof EmulatorLabDefinition> = Parameters<
  EmulatorLabDefinition[Name]['requestSerialize']
>[0]

export type EmulatorState = GetEmulatorResponse__Output
export type RecordedFault = RecordedFault__Output
export type TranslateResponse = TranslateResponse__Output
export type WatchFaultsResponse = WatchFaultsResponse__Output

/** A PASID, or requests without one. */
export type EmulatedTargetChoice = number | 'rid'

export interface AccessOptions {
  readonly device: string
  readonly target: EmulatedTargetChoice
  readonly address: bigint
  readonly write?: boolean | undefined
  readonly privileged?: boolean | undefined
}

export interface SubmitOptions {
  readonly descriptors: Buffer
  /** Of 32 bytes; absent: of 16. */
  readonly wide?: boolean | undefined
  /** The queue goes on if it stands at an error. */
  readonly clearError?: boolean | undefined
}

export interface PageRequestOptions extends AccessOptions {
  readonly group: number
  readonly read?: boolean | undefined
  readonly execute?: boolean | undefined
  /** Absent: it completes its group. */
  readonly last?: boolean | undefined
  /** Until the device has its response, or this long. */
  readonly waitMs?: number | undefined
}

export interface MapOptions {
  readonly session: string
  readonly address: bigint
  readonly size: bigint
  /** Absent: zeros. */
  readonly path?: string | undefined
  readonly offset?: bigint | undefined
  readonly readOnly?: boolean | undefined
}

export interface InjectOptions
  extends Pick<
    RequestOf<'InjectFault'>,
    'fail' | 'dead' | 'health' | 'effect' | 'skip' | 'times' | 'afterTeardown'
  > {
  /** Absent: the whole backend. */
  readonly device?: string | undefined
  readonly slowMs?: number | undefined
}

export interface KeptOptions {
  readonly after?: string | undefined
  readonly count?: number | undefined
}

export interface DumpOptions {
  readonly firstPasid?: number | undefined
  readonly count?: number | undefined
  readonly walkAddress?: bigint | undefined
}

function deviceName(name: string): string {
  return name === '' || name.startsWith('devices/') ? name : `devices/${name}`
}

function sessionName(name: string): string {
  return name.startsWith('sessions/') ? name : `sessions/${name}`
}

function targetOf(target: EmulatedTargetChoice) {
  return target === 'rid' ? { rid: true } : { pasid: target }
}

/** Names of sessions and devices with their collection or without. */
export class EmulatorLab {
  readonly #channel: Channel

  constructor(channel: Channel) {
    this.#channel = channel
  }

  state() {
    return this.#read(METHODS.GetEmulator, {})
  }

  /** What is absent stays as it is. */
  update(request: RequestOf<'UpdateEmulator'>) {
    return this.#act(METHODS.UpdateEmulator, request)
  }

  /** There until the daemon ends. */
  createDevice(request: RequestOf<'CreateDevice'>) {
    return this.#act(METHODS.CreateDevice, request)
  }

  resetDevice(device: string, durationMs?: number) {
    const duration = durationMs === undefined ? null : durationOf(durationMs)
    return this.#act(METHODS.ResetDevice, { device: deviceName(device), duration })
  }

  mapMemory({ session, address, size, path, offset = 0n, readOnly = false }: MapOptions) {
    return this.#act(METHODS.MapMemory, {
      session: sessionName(session),
      ...(path === undefined ? { zeros: true } : { path }),
      guestAddress: address.toString(),
      offset: offset.toString(),
      size: size.toString(),
      readOnly,
    })
  }

  /** Absent range: everything that is mapped. */
  unmapMemory(session: string, range?: { readonly address: bigint; readonly size: bigint }) {
    return this.#act(METHODS.UnmapMemory, {
      session: sessionName(session),
      guestAddress: (range?.address ?? 0n).toString(),
      size: (range?.size ?? 0n).toString(),
    })
  }

  async readMemory(session: string, address: bigint, size: number): Promise<Buffer> {
    const request = { session: sessionName(session), guestAddress: address.toString(), size }
    return (await this.#read(METHODS.ReadMemory, request)).data
  }

  writeMemory(session: string, address: bigint, data: Buffer) {
    const request = { session: sessionName(session), guestAddress: address.toString(), data }
    return this.#act(METHODS.WriteMemory, request)
  }

  /** Not made again after a lost connection: it fills caches. */
  translate({ device, target, address, write = false, privileged = false }: AccessOptions) {
    return this.#act(METHODS.Translate, {
      device: deviceName(device),
      target: targetOf(target),
      address: address.toString(),
      write,
      privileged,
    })
  }

  /** Whole descriptors, 1 to 512. What the waits among them store is answered, not stored. */
  submitDescriptors({ descriptors, wide = false, clearError = false }: SubmitOptions) {
    return this.#act(METHODS.SubmitDescriptors, { descriptors, wide, clearError })
  }

  raisePageRequest(options: PageRequestOptions) {
    const { device, target, group, address, waitMs } = options
    const { read = false, write = false, execute = false, privileged = false } = options
    const { last = true } = options
    const request = {
      device: deviceName(device),
      target: targetOf(target),
      group,
      address: address.toString(),
      ...{ read, write, execute, privileged, last },
      wait: waitMs !== undefined,
    }
    return this.#channel.call(METHODS.RaisePageRequest, request, { timeoutMs: waitMs })
  }

  injectFault({ device = '', slowMs, ...fault }: InjectOptions) {
    const slow = slowMs === undefined ? {} : { slow: durationOf(slowMs) }
    return this.#act(METHODS.InjectFault, { device: deviceName(device), ...fault, ...slow })
  }

  /** Absent: of all devices, and the backend is READY. */
  clearFaults(device = '') {
    return this.#act(METHODS.ClearFaults, { device: deviceName(device) })
  }

  dumpTables(device: string, { firstPasid = 0, count = 0, walkAddress }: DumpOptions = {}) {
    const request = { device: deviceName(device), firstPasid, count }
    const walk = walkAddress === undefined ? {} : { walkAddress: walkAddress.toString() }
    return this.#read(METHODS.DumpTables, { ...request, ...walk })
  }

  listFaults(device = '', { after = '0', count = 0 }: KeptOptions = {}) {
    return this.#read(METHODS.ListFaults, { device: deviceName(device), after, count })
  }

  listOperations({ after = '0', count = 0 }: KeptOptions = {}) {
    return this.#read(METHODS.ListOperations, { after, count })
  }

  watchFaults(device = ''): FaultWatch {
    return FaultWatch.open(this.#channel, deviceName(device))
  }

  #read<Request, Response>(method: Method<Request, Response>, request: Request) {
    return this.#channel.call(method, request, READ)
  }

  #act<Request, Response>(method: Method<Request, Response>, request: Request) {
    return this.#channel.call(method, request)
  }
}

/** Can be iterated once. It ends quietly after `cancel`, else with the error it was cut with. */
export class FaultWatch implements AsyncIterable<WatchFaultsResponse> {
  readonly #stream: ClientReadableStream<WatchFaultsResponse>
  /** What happens after it has resolved is told. @throws PasidError when it was refused */
  readonly begun: Promise<void>
  #cancelled = false

  private constructor(stream: ClientReadableStream<WatchFaultsResponse>) {
    this.#stream = stream
    this.begun = new Promise((resolve, reject) => {
      stream.once('metadata', () => resolve())
      // Told again where it is read; nobody may be reading when the call ends.
      stream.on('error', (error: ServiceError) => reject(errorOfCall(error)))
    })
    this.begun.catch(() => undefined)
  }

  static open(channel: Channel, device: string): FaultWatch {
    const { path, requestSerialize, responseDeserialize } = emulatorLabDefinition.WatchFaults
    const metadata = metadataFor(undefined)
    const stream = channel.client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { device },
      metadata,
    )
    return new FaultWatch(stream)
  }

  cancel(): void {
    this.#cancelled = true
    this.#stream.cancel()
  }

  /** @throws PasidError */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchFaultsResponse, void, undefined> {
    try {
      for await (const response of this.#stream) {
        if (this.#cancelled) return
        yield response as WatchFaultsResponse
      }
    } catch (error) {
      if (!this.#cancelled) throw errorOfCall(error as ServiceError)
    } finally {
      this.cancel()
    }
  }
}
