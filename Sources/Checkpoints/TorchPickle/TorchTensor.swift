import KaratTensors

/// A tensor of a PyTorch file: its type and shape, and how its elements lie in their storage.
struct TorchTensor {
  /// Its type and shape as they are given out.
  let info: TensorInfo
  /// Where its elements lie in the file.
  let layout: StridedLayout
  /// The key of its storage.
  let storage: String

  private static let largestRank = 64

  /// Reads the arguments of the function that would make a tensor.
  ///
  /// - Returns: the tensor; its elements are known to lie in the storage.
  /// - Throws: what is wrong.
  init(
    _ call: PickleTree.Call,
    of tree: PickleTree,
    in archive: TorchArchive
  ) throws(TorchFault) {
    let call = try Self.unwrapped(call, of: tree)
    let arguments = call.arguments
    let isV3 = call.function == .rebuildTensorV3
    // (storage, offset, size, stride[, requires_grad, hooks[, dtype][, metadata]])
    let counts =
      switch call.function {
      case .rebuildTensor: 4...4
      case .rebuildTensorV2: 6...7
      default: 7...8
      }
    guard counts ~= arguments.count else {
      throw .malformed(
        "it is made of \(arguments.count) arguments; \(counts.lowerBound)"
          + (counts.count > 1 ? " or \(counts.upperBound)" : "") + " were needed."
      )
    }
    guard case .storage(let index) = arguments[0] else {
      throw .malformed("it is made of \(tree.kind(of: arguments[0])); a storage was needed.")
    }
    let storage = tree.storages[index]
    let element = try Self.element(of: storage, isV3 ? arguments[6] : nil)
    guard case .integer(let offset) = arguments[1], offset >= 0 else {
      throw .malformed("the offset of its first element is no number from 0 on.")
    }
    let sizes = try Self.numbers(arguments[2], of: tree, "size")
    let strides = try Self.numbers(arguments[3], of: tree, "stride")
    guard sizes.count == strides.count, sizes.count <= Self.largestRank else {
      throw .malformed(
        "it has \(sizes.count) sizes and \(strides.count) strides; as many of both were needed, at"
          + " most \(Self.largestRank)."
      )
    }
    if counts.upperBound == arguments.count, call.function != .rebuildTensor {
      try Self.refuseBits(arguments[arguments.count - 1], of: tree)
    }
    guard let dtype = element.dtype else {
      throw .unsupported("elements of the type \(element.name) are not read.")
    }
    guard let units = Shape(checking: sizes) else {
      throw .malformed("the product of its sizes \(sizes) is not below 2^63.")
    }
    guard dtype.block.elements == 1 || units.rank > 0 else {
      throw .malformed("it is a single \(element.name), which has no last dimension to count in.")
    }
    guard let shape = Self.shape(units, dtype),
      dtype.byteCount(elementCount: shape.elementCount) != nil
    else {
      throw .malformed("shape \(units) of \(element.name) takes more than 2^63 bytes.")
    }
    let (byteCount, overflow) = storage.count.multipliedReportingOverflow(
      by: storage.element?.byteCount ?? 1
    )
    guard let record = archive.storage(storage.key) else {
      throw .malformed("its storage \(TensorName(storage.key).quoted) has no record in 'data/'.")
    }
    guard !overflow, byteCount == record.byteCount else {
      throw .malformed(
        "its storage \(TensorName(storage.key).quoted) is to hold \(storage.count)"
          + " \(storage.element?.name ?? "byte") elements; the record holds \(record.byteCount)"
          + " bytes."
      )
    }
    let layout = StridedLayout(
      sizes: sizes,
      strides: strides,
      first: offset,
      unitByteCount: element.byteCount,
      start: record.offset
    )
    let capacity = record.byteCount / element.byteCount
    guard layout.fits(in: capacity) else {
      throw .malformed(
        "offset \(offset), sizes \(sizes) and strides \(strides) reach beyond the \(capacity)"
          + " elements of its storage."
      )
    }
    info = TensorInfo(dtype, shape)
    self.layout = layout
    self.storage = storage.key
  }

  /// The call inside those that make a parameter of a tensor or give it attributes.
  private static func unwrapped(
    _ call: PickleTree.Call,
    of tree: PickleTree
  ) throws(TorchFault) -> PickleTree.Call {
    var call = call
    // A parameter with attributes of a tensor with attributes of a tensor: more is never written.
    for _ in 0..<4 {
      let arguments = call.arguments
      switch call.function {
      case .rebuildParameter, .rebuildParameterWithState:
        let count = call.function == .rebuildParameter ? 3 : 4
        guard arguments.count == count, case .call(let inner) = arguments[0],
          tree.calls[inner].function.makesTensor
        else { throw .malformed("it is a parameter that is not made of a tensor.") }
        call = tree.calls[inner]
      case .rebuildFromType:
        guard arguments.count == 4, case .global(let function) = arguments[0],
          function.makesTensor, case .global(let type) = arguments[1],
          type == .tensorClass || type == .parameterClass, case .tuple(let inner) = arguments[2]
        else { throw .malformed("it is of a class that is not made of a tensor.") }
        call = PickleTree.Call(function: function, arguments: tree.tuples[inner])
      default: return call
      }
    }
    throw .malformed("it is a parameter of a parameter of a parameter.")
  }

  /// The type of the elements: that of the storage, or, where the storage holds bytes, one named
  /// beside it.
  private static func element(
    of storage: PickleTree.Storage,
    _ named: PickleValue?
  ) throws(TorchFault) -> TorchElement {
    switch (storage.element, named) {
    case (let element?, nil): return element
    case (nil, .global(.dtype(let element))?): return element
    case (nil, _):
      throw .malformed("its storage holds bytes, and nothing says of what type.")
    case (_?, _?):
      throw .malformed("its storage is of a type already; one of bytes was needed.")
    }
  }

  private static func numbers(
    _ value: PickleValue,
    of tree: PickleTree,
    _ what: String
  ) throws(TorchFault) -> [Int] {
    guard let items = tree.items(value) else {
      throw .malformed("its \(what) is \(tree.kind(of: value)); a tuple was needed.")
    }
    var numbers: [Int] = []
    for item in items {
      guard case .integer(let number) = item, number >= 0 else {
        throw .malformed("its \(what) holds something else than numbers from 0 on.")
      }
      numbers.append(number)
    }
    return numbers
  }

  /// A tensor that is to be conjugated or negated when it is read is none that lies there.
  private static func refuseBits(
    _ metadata: PickleValue,
    of tree: PickleTree
  ) throws(TorchFault) {
    switch metadata {
    case .none: return
    case .dict(let index):
      guard tree.dicts[index].entries.isEmpty else {
        throw .unsupported(
          "its elements are marked as conjugated or negated. Save tensor.resolve_conj() or"
            + " tensor.resolve_neg() instead."
        )
      }
    default: throw .malformed("its metadata is \(tree.kind(of: metadata)); a dict was needed.")
    }
  }

  /// The shape in elements; PyTorch counts pairs of 4-bit numbers.
  private static func shape(_ units: Shape, _ dtype: DType) -> Shape? {
    guard dtype.block.elements > 1, let last = units.dimensions.last else { return units }
    let (extent, overflow) = last.multipliedReportingOverflow(by: dtype.block.elements)
    return overflow ? nil : Shape(checking: units.dimensions.dropLast() + [extent])
  }
}

/// What is wrong with a tensor of a PyTorch file, or with how the tensors hang together.
struct TorchFault: Error {
  let kind: CheckpointError.Kind
  var tensor: TensorName?
  let message: String

  static func malformed(_ message: String, tensor: TensorName? = nil) -> TorchFault {
    TorchFault(kind: .malformed, tensor: tensor, message: message)
  }

  static func unsupported(_ message: String, tensor: TensorName? = nil) -> TorchFault {
    TorchFault(kind: .unsupported, tensor: tensor, message: message)
  }
}
