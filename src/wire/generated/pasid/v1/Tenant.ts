// Original file: proto/pasid/v1/operator.proto

import type { PasidRange as _pasid_v1_PasidRange, PasidRange__Output as _pasid_v1_PasidRange__Output } from '../../pasid/v1/PasidRange.js';

export interface Tenant {
  'name'?: (string);
  'parent'?: (string);
  'usedPasids'?: (number);
  'maxPasids'?: (number);
  'sessions'?: (number);
  'maxSessions'?: (number);
  'sessionMaxPasids'?: (number);
  'window'?: (_pasid_v1_PasidRange | null);
  'configured'?: (boolean);
  'guaranteedPasids'?: (number);
  'ownSessionMaxPasids'?: (number);
  'ownWindow'?: (_pasid_v1_PasidRange | null);
  'overridden'?: (boolean);
  'etag'?: (string);
  'setAsidePasids'?: (number);
  '_maxPasids'?: "maxPasids";
  '_maxSessions'?: "maxSessions";
  '_guaranteedPasids'?: "guaranteedPasids";
  '_ownSessionMaxPasids'?: "ownSessionMaxPasids";
}

export interface Tenant__Output {
  'name': (string);
  'parent': (string);
  'usedPasids': (number);
  'maxPasids'?: (number);
  'sessions': (number);
  'maxSessions'?: (number);
  'sessionMaxPasids': (number);
  'window': (_pasid_v1_PasidRange__Output | null);
  'configured': (boolean);
  'guaranteedPasids'?: (number);
  'ownSessionMaxPasids'?: (number);
  'ownWindow': (_pasid_v1_PasidRange__Output | null);
  'overridden': (boolean);
  'etag': (string);
  'setAsidePasids': (number);
  '_maxPasids'?: "maxPasids";
  '_maxSessions'?: "maxSessions";
  '_guaranteedPasids'?: "guaranteedPasids";
  '_ownSessionMaxPasids'?: "ownSessionMaxPasids";
}
