import KaratTensors

/// What a pickle may name of Python: a closed list, and a name outside of it ends the reading.
enum PickleGlobal: Hashable {
  case orderedDict
  case rebuildTensor
  case rebuildTensorV2
  case rebuildTensorV3
  case rebuildParameter
  case rebuildParameterWithState
  case rebuildFromType
  case size
  case device
  case encode
  case set
  case bytearray
  case complex
  case tensorClass
  case parameterClass
  /// The type of a storage; nil for one of bytes.
  case storage(TorchElement?)
  /// The type of a tensor's elements.
  case dtype(TorchElement)

  /// Whether a pickle may say that it is called.
  var isCallable: Bool {
    switch self {
    case .orderedDict, .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3, .rebuildParameter,
      .rebuildParameterWithState, .rebuildFromType, .size, .device, .encode, .set, .bytearray,
      .complex:
      true
    case .tensorClass, .parameterClass, .storage, .dtype: false
    }
  }

  /// Whether what it returns is a tensor.
  var makesTensor: Bool {
    switch self {
    case .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3, .rebuildParameter,
      .rebuildParameterWithState, .rebuildFromType:
      true
    default: false
    }
  }

  /// The name in Python, without the module.
  var name: String {
    Self.known.first { $0.value == self }
      .map {
        String($0.key[$0.key.index(after: $0.key.lastIndex(of: " ") ?? $0.key.startIndex)...])
      }
      ?? ""
  }

  /// By module and name, as they stand in the pickle, with a space between.
  static let known: [String: PickleGlobal] = {
    var known: [String: PickleGlobal] = [
      "collections OrderedDict": .orderedDict,
      "torch._utils _rebuild_tensor": .rebuildTensor,
      "torch._utils _rebuild_tensor_v2": .rebuildTensorV2,
      "torch._utils _rebuild_tensor_v3": .rebuildTensorV3,
      "torch._utils _rebuild_parameter": .rebuildParameter,
      "torch._utils _rebuild_parameter_with_state": .rebuildParameterWithState,
      "torch._tensor _rebuild_from_type_v2": .rebuildFromType,
      "torch Size": .size,
      "torch device": .device,
      "torch Tensor": .tensorClass,
      "torch.nn.parameter Parameter": .parameterClass,
      "torch.storage UntypedStorage": .storage(nil),
      "_codecs encode": .encode,
    ]
    // Protocol 2 has Python 2's names; other writers have Python 3's.
    for module in ["__builtin__", "builtins"] {
      known["\(module) set"] = .set
      known["\(module) bytearray"] = .bytearray
      known["\(module) complex"] = .complex
    }
    for element in TorchElement.all {
      known["torch \(element.name)"] = .dtype(element)
      if let storage = element.storageName { known["torch \(storage)"] = .storage(element) }
    }
    return known
  }()
}

/// A type of elements under PyTorch's name.
struct TorchElement: Hashable {
  /// The name, as in `torch.float32`.
  let name: String
  /// The name of its storage, or nil where storages of it hold bytes.
  let storageName: String?
  /// The bytes of one element.
  let byteCount: Int
  /// Ours, or nil where tensors of this type are not read.
  let dtype: DType?

  private init(_ name: String, _ byteCount: Int, _ dtype: DType?, storage: String? = nil) {
    (self.name, self.byteCount, self.dtype) = (name, byteCount, dtype)
    storageName = storage
  }

  /// All types whose names a pickle may hold.
  static let all = [
    TorchElement("float64", 8, .f64, storage: "DoubleStorage"),
    TorchElement("float32", 4, .f32, storage: "FloatStorage"),
    TorchElement("float16", 2, .f16, storage: "HalfStorage"),
    TorchElement("bfloat16", 2, .bf16, storage: "BFloat16Storage"),
    TorchElement("int64", 8, .i64, storage: "LongStorage"),
    TorchElement("int32", 4, .i32, storage: "IntStorage"),
    TorchElement("int16", 2, .i16, storage: "ShortStorage"),
    TorchElement("int8", 1, .i8, storage: "CharStorage"),
    TorchElement("uint8", 1, .u8, storage: "ByteStorage"),
    TorchElement("bool", 1, .bool, storage: "BoolStorage"),
    TorchElement("complex64", 8, .c64, storage: "ComplexFloatStorage"),
    TorchElement("complex128", 16, nil, storage: "ComplexDoubleStorage"),
    TorchElement("complex32", 4, nil),
    TorchElement("uint16", 2, .u16),
    TorchElement("uint32", 4, .u32),
    TorchElement("uint64", 8, .u64),
    TorchElement("float8_e4m3fn", 1, .f8E4M3),
    TorchElement("float8_e5m2", 1, .f8E5M2),
    TorchElement("float8_e4m3fnuz", 1, .f8E4M3FNUZ),
    TorchElement("float8_e5m2fnuz", 1, .f8E5M2FNUZ),
    TorchElement("float8_e8m0fnu", 1, .f8E8M0),
    // Two numbers in a byte: its tensors have half the extent in their last dimension.
    TorchElement("float4_e2m1fn_x2", 1, .f4),
  ]
}
