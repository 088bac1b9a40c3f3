/**
 * What a VMM does, once through: open a session, attach a device, get a PASID, bind the guest's
 * page table to it, forward an invalidation, look at what it holds. Run it beside `npm start`:
 *
 *   node examples/first-session.mjs [path of the VMM socket]
 */
import { setTimeout as pause } from 'node:timers/promises'
import { PasidClient, PasidError } from '../dist/client/index.js'

const given = process.argv.slice(2).find((word) => !word.startsWith('-'))
const socket = given ?? new URL('../var/vmm/pasid.sock', import.meta.url).pathname
const client = new PasidClient({ socket })

const info = await client.getServerInfo()
console.log(`pasidd ${info.version}, backend ${info.backend}`)

const session = await client.openSession({ labels: { vm: 'first' } })
console.log(`opened ${session.name}`)

const { device } = await session.attachDevice({ device: 'devices/emu0' })
console.log(`attached ${device.name}: ${device.pasidBits} PASID bits, ${device.translation}`)

const { ranges, headroom } = await session.allocatePasids({ one: {}, labels: { use: 'example' } })
const pasid = ranges[0].first
console.log(`PASID ${pasid} is ours; ${headroom.session} more may be`)

// The guest's page table: 4 levels at guest-physical 0x10000. It calls PASID `pasid` 5.
const firstStage = { address: String(0x10000), addressWidth: 48 }
const bind = { pasid, devices: [device.name], firstStage, domain: 7, guestPasid: 5 }
await session.bindPasid(bind)
console.log(`bound to guest PASID 5 in domain 7`)

// The guest changed one page: its IOTLB and device-TLB entries must go.
const addresses = { pasid, address: String(0x7f00_0000_0000), pages: '1' }
const caches = ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_DEVICE_TLB']
const { done } = await session.invalidate([{ addresses, caches }])
console.log(`${done} invalidation done`)

// A mistake is answered with what was wrong and what to do.
try {
  await session.bindPasid({ ...bind, pasid: 1 })
} catch (error) {
  if (!(error instanceof PasidError)) throw error
  console.log(`refused: ${error.reason}: ${error.message}`)
}

if (process.argv.includes('--stay')) await pause(600_000)
const { freed } = await session.closeSession()
console.log(`closed; ${freed} PASID given back`)
client.close()
