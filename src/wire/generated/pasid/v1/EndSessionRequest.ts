// Original file: proto/pasid/v1/operator.proto


export interface EndSessionRequest {
  'name'?: (string);
  'reason'?: (string);
  'validateOnly'?: (boolean);
}

export interface EndSessionRequest__Output {
  'name': (string);
  'reason': (string);
  'validateOnly': (boolean);
}
