// Original file: proto/pasid/v1/operator.proto


export interface Problem {
  'against'?: (string);
  'description'?: (string);
}

export interface Problem__Output {
  'against': (string);
  'description': (string);
}
