// Original file: proto/pasid/v1/pasid_broker.proto

import type { StatusWrite as _pasid_v1_StatusWrite, StatusWrite__Output as _pasid_v1_StatusWrite__Output } from '../../pasid/v1/StatusWrite.js';
import type { Binding as _pasid_v1_Binding, Binding__Output as _pasid_v1_Binding__Output } from '../../pasid/v1/Binding.js';

export interface InvalidateRawResponse {
  'done'?: (number);
  'error'?: (number);
  'problem'?: (string);
  'statusWrites'?: (_pasid_v1_StatusWrite)[];
  'lost'?: (_pasid_v1_Binding)[];
}

export interface InvalidateRawResponse__Output {
  'done': (number);
  'error': (number);
  'problem': (string);
  'statusWrites': (_pasid_v1_StatusWrite__Output)[];
  'lost': (_pasid_v1_Binding__Output)[];
}
