// Original file: proto/pasid/v1/emulator_lab.proto

import type { DumpedEntry as _pasid_v1_DumpedEntry, DumpedEntry__Output as _pasid_v1_DumpedEntry__Output } from '../../pasid/v1/DumpedEntry.js';

export interface DumpTablesResponse {
  'lines'?: (string)[];
  'entries'?: (_pasid_v1_DumpedEntry)[];
  'more'?: (boolean);
}

export interface DumpTablesResponse__Output {
  'lines': (string)[];
  'entries': (_pasid_v1_DumpedEntry__Output)[];
  'more': (boolean);
}
