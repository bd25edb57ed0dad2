/// The type and shape of one tensor.
public struct TensorInfo: Sendable, Hashable {
  /// The element type.
  public let dtype: DType
  /// The extents, outermost first.
  public let shape: Shape

  /// Describes a tensor by its type and shape.
  public init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// How many bytes the elements take, or nil where they do not fill whole blocks.
  public var byteCount: Int? { dtype.byteCount(elementCount: shape.elementCount) }

  /// Where in the tensor's bytes an element starts that is the first of its block.
  public func byteOffset(ofElement index: Int) -> Int {
    precondition(index.isMultiple(of: dtype.block.elements), "a block cannot be cut")
    return index / dtype.block.elements * dtype.block.bytes
  }
}

/// What a tensor source holds: names, types and shapes in a fixed order, and text metadata.
public struct Manifest: Sendable {
  /// The names in the source's own order.
  public private(set) var names: [TensorName] = []
  /// Text that travels with the tensors, such as safetensors' `__metadata__`.
  public var metadata: [String: String]

  private var infos: [TensorName: TensorInfo] = [:]

  /// Makes a manifest with no tensors.
  public init(metadata: [String: String] = [:]) {
    self.metadata = metadata
  }

  /// The type and shape of a tensor, or nil where the source has none of that name.
  public subscript(name: TensorName) -> TensorInfo? { infos[name] }

  /// How many tensors there are.
  public var count: Int { names.count }

  /// The bytes of all tensors together.
  public var totalBytes: Int { infos.values.reduce(0) { $0 + ($1.byteCount ?? 0) } }

  /// The elements of all tensors together.
  public var totalElements: Int { infos.values.reduce(0) { $0 + $1.shape.elementCount } }

  /// Makes room for so many tensors at once.
  public mutating func reserveCapacity(_ count: Int) {
    names.reserveCapacity(count)
    infos.reserveCapacity(count)
  }

  /// Appends a tensor, or describes one of that name anew in its old place.
  ///
  /// - Returns: false where the name was there already.
  @discardableResult
  public mutating func set(_ name: TensorName, _ info: TensorInfo) -> Bool {
    guard infos.updateValue(info, forKey: name) == nil else { return false }
    names.append(name)
    return true
  }

  /// Removes the tensors that a predicate names.
  public mutating func removeAll(where isRemoved: (TensorName) -> Bool) {
    names.removeAll { name in
      guard isRemoved(name) else { return false }
      infos[name] = nil
      return true
    }
  }
}
