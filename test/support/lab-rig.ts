/**
 * A daemon with its laboratory, and guests in it without a VMM's memory: 1 MiB of zeros with a
 * four-level table laid in it through the lab. Closed by `close`, the daemon by `stopAll`.
 */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import {
  OperatorClient,
  PasidClient,
  type EmulatorLab,
  type PasidSession,
} from '../../src/client/index.js'
import { STATUS_DETAILS_KEY } from '../../src/wire/details.js'
import { emulatorLabDefinition } from '../../src/wire/load.js'
import type { LabMethod } from '../../src/wire/messages.js'
import { startInProcess, type InProcessDaemon } from './daemon.js'
import { refusedBy, type Reply } from './service-rig.js'

export const MIB = 0x10_0000n
/** Of the lowest level; it maps pages 0 to 15. */
export const PAGE_TABLE = 0x4000n
/** P, R/W, U/S. */
export const RIGHTS = 7n
/** Guest-physical page of input page 0. */
const FIRST_PAGE = 0x8_0000n

export type UnaryLabMethod = Exclude<LabMethod, 'WatchFaults'>

/** Sends any message to a method of EmulatorLab. */
export class LabClient {
  readonly client: Client

  constructor(socket: string) {
    const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 }
    this.client = new Client(`unix:${socket}`, credentials.createInsecure(), options)
  }

  call(method: UnaryLabMethod, message: object): Promise<Reply> {
    const { path, requestSerialize, responseDeserialize } = emulatorLabDefinition[method]
    return new Promise((resolve, reject) => {
      const end = (error: ServiceError | null, answer?: object): void => {
        if (error === null) {
          resolve({ ok: true, message: answer as Record<string, unknown> })
          return
        }
        const [status] = error.metadata.get(STATUS_DETAILS_KEY)
        if (status === undefined) reject(error)
        else {
          const refusal = refusedBy(error.code, error.details, status as Buffer)
          resolve({ ok: false, refusal })
        }
      }
      this.client.makeUnaryRequest<object, object>(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        end,
      )
    })
  }

  close(): void {
    this.client.close()
  }
}

export class LabRig {
  readonly vmm: PasidClient
  readonly operator: OperatorClient
  readonly lab: EmulatorLab

  private constructor(readonly daemon: InProcessDaemon) {
    this.vmm = new PasidClient({ socket: daemon.vmmSocket })
    this.operator = new OperatorClient({ socket: daemon.adminSocket })
    this.lab = this.operator.emulator
  }

  static async start(toml = ''): Promise<LabRig> {
    return new LabRig(await startInProcess({ toml }))
  }

  async write(session: PasidSession, address: bigint, ...words: bigint[]): Promise<void> {
    const data = Buffer.alloc(words.length * 8)
    for (const [i, word] of words.entries()) data.writeBigUInt64LE(word, i * 8)
    await this.lab.writeMemory(session.name, address, data)
  }

  /** At 0x1000: leads page n to the guest-physical page 0x80 + n, for n below 16. */
  async layTables(session: PasidSession): Promise<void> {
    await this.write(session, 0x1000n, 0x2000n | RIGHTS)
    await this.write(session, 0x2000n, 0x3000n | RIGHTS)
    await this.write(session, 0x3000n, PAGE_TABLE | RIGHTS)
    const leaves = Array.from({ length: 16 }, (_, i) => FIRST_PAGE + (BigInt(i) << 12n))
    await this.write(session, PAGE_TABLE, ...leaves.map((page) => page | RIGHTS))
  }

  /** A session with its memory and tables, and a number bound on the device. */
  async guest(device: string): Promise<{ session: PasidSession; pasid: number }> {
    const session = await this.vmm.openSession()
    await session.attachDevice({ device: `devices/${device}` })
    await this.lab.mapMemory({ session: session.name, address: 0n, size: MIB })
    await this.layTables(session)
    const { ranges } = await session.allocatePasids({ one: {} })
    const pasid = ranges[0]?.first ?? 0
    const firstStage = { address: '4096', addressWidth: 48 }
    await session.bindPasid({ pasid, devices: [`devices/${device}`], firstStage, domain: 3 })
    return { session, pasid }
  }

  close(): void {
    this.vmm.close()
    this.operator.close()
  }
}
