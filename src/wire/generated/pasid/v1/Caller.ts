// Original file: proto/pasid/v1/pasid_broker.proto

import type { Process as _pasid_v1_Process, Process__Output as _pasid_v1_Process__Output } from '../../pasid/v1/Process.js';

export interface Caller {
  'process'?: (_pasid_v1_Process | null);
  'tenant'?: (string);
  'delegateFor'?: (string)[];
}

export interface Caller__Output {
  'process': (_pasid_v1_Process__Output | null);
  'tenant': (string);
  'delegateFor': (string)[];
}
