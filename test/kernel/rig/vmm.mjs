/**
 * A VMM in a process of its own, which can be killed. It has one iommufd with an IOAS, on which its
 * memory is mapped, opens devices, and is a client of the daemon. It does what its parent says, one
 * message a request and one an answer; what the kernel or the daemon refuses is an answer as well.
 */
import fs from 'node:fs'
import process from 'node:process'
import { PasidClient, PasidError } from '../../../dist/client/index.js'
import { LinuxCallThread } from '../../../dist/linux/call-thread.js'
import { failureOf } from '../../../dist/linux/errno.js'
import { connect } from '../../../dist/linux/fd-connection.js'
import { createMemfd } from '../../../dist/linux/memfd.js'
import * as IOMMUFD_CALLS from '../../../dist/uapi/iommufd.js'
import { decode, encode } from '../../../dist/uapi/structure.js'
import * as VFIO_CALLS from '../../../dist/uapi/vfio-cdev.js'
import { DmaLoop, Edu } from './edu.mjs'

const { IOMMUFD, IOAS_ALLOC, IOAS_MAP_FILE } = IOMMUFD_CALLS
const CALLS = { ...IOMMUFD_CALLS, ...VFIO_CALLS }

const thread = LinuxCallThread.start('vmm')
const { O_RDWR } = fs.constants
/** Descriptors stay open until they are closed by order: no garbage collection ends them. */
const edus = new Map()
const events = []
let client
let session
let control
let dma

/** A system call that the kernel refused. */
class KernelSaid extends Error {
  constructor(call, code) {
    super(call)
    this.errno = failureOf(call, code).errno
  }
}

async function ioctl(fd, { name, request, structure }, values) {
  const { code, bytes } = await thread.ioctl({ fd, request, bytes: encode(structure, values) })
  if (code < 0) throw new KernelSaid(name, code)
  return decode(structure, bytes)
}

function eduOf(fd) {
  const edu = edus.get(fd) ?? new Edu(fd)
  edus.set(fd, edu)
  return edu
}

const DO = {
  /** /dev/iommu with an IOAS, and memory that is mapped there. Answers their numbers. */
  async start({ iova, bytes }) {
    const memory = createMemfd('guest-ram').release()
    fs.ftruncateSync(memory, bytes)
    const iommufd = fs.openSync('/dev/iommu', O_RDWR)
    const { outIoasId: ioas } = await ioctl(iommufd, IOAS_ALLOC, {})
    const { IOMMU_IOAS_MAP_FIXED_IOVA: fixed, ...rights } = IOMMUFD
    await ioctl(iommufd, IOAS_MAP_FILE, {
      flags: fixed | rights.IOMMU_IOAS_MAP_READABLE | rights.IOMMU_IOAS_MAP_WRITEABLE,
      ioasId: ioas,
      fd: memory,
      length: BigInt(bytes),
      iova: BigInt(iova),
    })
    return { memory, iommufd, ioas }
  },

  open: ({ path }) => fs.openSync(path, O_RDWR),

  close: ({ fd }) => {
    edus.delete(fd)
    fs.closeSync(fd)
  },

  /** `call`: its name in src/uapi/. */
  ioctl: ({ fd, call, values }) => ioctl(fd, CALLS[call], values),

  /** One whose argument is memory of any kind; answers what it returned. */
  async rawIoctl({ fd, request, bytes }) {
    const { code } = await thread.ioctl({ fd, request, bytes })
    if (code < 0) throw new KernelSaid(`ioctl ${request.toString(16)}`, code)
    return code
  },

  /** One word of the daemon's on its side socket. */
  side: ({ socket, text, fds }) =>
    new Promise((resolve, reject) => {
      const connection = connect(socket)
      connection.onMessage((message) => {
        resolve(message.text)
        connection.close()
      })
      connection.onClose(() => reject(new Error('the side socket was closed')))
      connection.send(text, fds)
    }),

  async openSession({ socket, options }) {
    client ??= new PasidClient({ socket })
    session = await client.openSession(options)
    return session.name
  },

  /** A method of the client's session. */
  session: ({ method, request }) => session[method](request),

  /** Opens Control; what comes unasked is kept for events(). */
  async control() {
    control = await session.control({ onEvent: (event) => events.push(event) })
    void control.closed
  },

  events: () => events,

  take: ({ fd, address, bytes }) => eduOf(fd).take(address, bytes),
  give: ({ fd, address, bytes }) => eduOf(fd).give(address, bytes),

  startDma({ fd, memory, ...place }) {
    dma = new DmaLoop(eduOf(fd), memory, place)
  },

  stopDma: () => dma.stop(),
}

function answerOf(error) {
  if (error instanceof KernelSaid)
    return { refused: { errno: error.errno, message: error.message } }
  if (error instanceof PasidError) {
    const { codeName, reason, message, metadata } = error
    return { refused: { code: codeName, reason, message, metadata } }
  }
  return { broken: String(error.stack ?? error) }
}

process.on('message', async ({ id, act, args }) => {
  let answer
  try {
    answer = { value: await DO[act](args) }
  } catch (error) {
    answer = answerOf(error)
  }
  process.send({ id, ...answer })
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(0))
