/**
 * A driver for QEMU's `edu` device (docs/specs/edu.rst), by the registers in its VFIO cdev: it
 * copies memory by DMA. Through an IOMMU that is the proof that an attachment translates. The
 * device must be bound and attached. DMA addresses are of 28 bits.
 */
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** VFIO_PCI_INDEX_TO_OFFSET: the index of a region is above bit 40. */
const REGION = 2 ** 40
const CONFIG_REGION = 7 * REGION
const COMMAND = 0x04
const MEMORY_AND_BUS_MASTER = 0x06
/** Registers of BAR 0. */
const IDENTIFICATION = 0x00
const DMA_SOURCE = 0x80
const DMA_DESTINATION = 0x88
const DMA_COUNT = 0x90
const DMA_COMMAND = 0x98
const DMA_RUN = 1
const DMA_FROM_DEVICE = 2
/** Where the device's own buffer of 4096 bytes begins. */
const BUFFER = 0x40000
/** The device takes 100 ms for a DMA. */
const POLL_MS = 20
const POLLS_MAX = 500
/** Between two rounds of a loop: others have to run too. */
const PAUSE_MS = 200

export class Edu {
  #fd

  /** @param {number} fd of the cdev, bound */
  constructor(fd) {
    this.#fd = fd
    const command = Buffer.alloc(2)
    command.writeUInt16LE(MEMORY_AND_BUS_MASTER)
    fs.writeSync(fd, command, 0, 2, CONFIG_REGION + COMMAND)
    if ((this.#read(IDENTIFICATION) & 0xff) !== 0xed) throw new Error('this is no edu device')
  }

  /** Reads memory at the DMA address into the device's buffer. */
  async take(address, bytes) {
    await this.#copy(address, BUFFER, bytes, 0)
  }

  /** Writes the device's buffer to memory at the DMA address. */
  async give(address, bytes) {
    await this.#copy(BUFFER, address, bytes, DMA_FROM_DEVICE)
  }

  async #copy(source, destination, bytes, direction) {
    this.#write(DMA_SOURCE, source)
    this.#write(DMA_DESTINATION, destination)
    this.#write(DMA_COUNT, bytes)
    this.#write(DMA_COMMAND, DMA_RUN | direction)
    for (let polls = 0; (this.#read(DMA_COMMAND) & DMA_RUN) !== 0; polls += 1) {
      if (polls === POLLS_MAX) throw new Error('the DMA of the edu device does not end')
      await sleep(POLL_MS)
    }
  }

  #read(register) {
    const word = Buffer.alloc(4)
    fs.readSync(this.#fd, word, 0, 4, register)
    return word.readUInt32LE()
  }

  #write(register, value) {
    const word = Buffer.alloc(4)
    word.writeUInt32LE(value)
    fs.writeSync(this.#fd, word, 0, 4, register)
  }
}

/** Copies memory through the device and back, again and again, and counts what came out wrong. */
export class DmaLoop {
  #isOver = false
  #counts = { rounds: 0, wrong: 0 }
  #done

  /**
   * @param {Edu} edu
   * @param {number} memory of the file that the DMA addresses lead to
   * @param {import('./edu.mjs').DmaPlace} place
   */
  constructor(edu, memory, place) {
    this.#done = this.#run(edu, memory, place)
    // Told where it is stopped.
    this.#done.catch(() => undefined)
  }

  async stop() {
    this.#isOver = true
    await this.#done
    return this.#counts
  }

  async #run(edu, memory, { iova, source, target, bytes }) {
    while (!this.#isOver) {
      const text = Buffer.alloc(bytes, `round ${this.#counts.rounds} `)
      fs.writeSync(memory, text, 0, bytes, source)
      await edu.take(iova + source, bytes)
      await edu.give(iova + target, bytes)
      const found = Buffer.alloc(bytes)
      fs.readSync(memory, found, 0, bytes, target)
      if (!found.equals(text)) this.#counts.wrong += 1
      this.#counts.rounds += 1
      await sleep(PAUSE_MS)
    }
  }
}
