// Original file: proto/pasid/v1/emulator_lab.proto


export interface DumpedEntry {
  'pasid'?: (number);
  'entry'?: (Buffer | Uint8Array | string);
  'session'?: (string);
}

export interface DumpedEntry__Output {
  'pasid': (number);
  'entry': (Buffer);
  'session': (string);
}
