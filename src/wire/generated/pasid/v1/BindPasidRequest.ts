// Original file: proto/pasid/v1/pasid_broker.proto

import type { FirstStageTable as _pasid_v1_FirstStageTable, FirstStageTable__Output as _pasid_v1_FirstStageTable__Output } from '../../pasid/v1/FirstStageTable.js';
import type { PassThrough as _pasid_v1_PassThrough, PassThrough__Output as _pasid_v1_PassThrough__Output } from '../../pasid/v1/PassThrough.js';

export interface BindPasidRequest {
  'session'?: (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'devices'?: (string)[];
  'firstStage'?: (_pasid_v1_FirstStageTable | null);
  'passThrough'?: (_pasid_v1_PassThrough | null);
  'domain'?: (number);
  'guestPasid'?: (number);
  'replace'?: (boolean);
  'target'?: "pasid"|"rid";
  'table'?: "firstStage"|"passThrough";
  '_guestPasid'?: "guestPasid";
}

export interface BindPasidRequest__Output {
  'session': (string);
  'pasid'?: (number);
  'rid'?: (boolean);
  'devices': (string)[];
  'firstStage'?: (_pasid_v1_FirstStageTable__Output | null);
  'passThrough'?: (_pasid_v1_PassThrough__Output | null);
  'domain': (number);
  'guestPasid'?: (number);
  'replace': (boolean);
  'target'?: "pasid"|"rid";
  'table'?: "firstStage"|"passThrough";
  '_guestPasid'?: "guestPasid";
}
