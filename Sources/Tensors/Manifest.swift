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

  private var infos: [TensorInfo] = []
  private var table = NameTable()

  /// Makes a manifest with no tensors.
  public init(metadata: [String: String] = [:]) {
    self.metadata = metadata
  }

  /// A name that is there twice.
  package struct Duplicate: Error, Hashable, Sendable {
    /// The name.
    package let name: TensorName
  }

  /// Makes a manifest of names and what belongs to each, in this order.
  ///
  /// - Throws: `Duplicate` with the first name that was there before.
  package init(
    _ names: [TensorName],
    _ infos: [TensorInfo],
    metadata: [String: String] = [:]
  ) throws(Duplicate) {
    precondition(names.count == infos.count)
    table.reserveCapacity(names.count, names: names)
    for name in names where table.append(name, in: names) != nil {
      throw Duplicate(name: name)
    }
    self.names = names
    self.infos = infos
    self.metadata = metadata
  }

  /// The type and shape of a tensor, or nil where the source has none of that name.
  public subscript(name: TensorName) -> TensorInfo? { place(of: name).map { infos[$0] } }

  /// Where a name stands in `names`, or nil where the source has none of that name.
  package func place(of name: TensorName) -> Int? { table.place(of: name, in: names) }

  /// How many tensors there are.
  public var count: Int { names.count }

  /// The bytes of all tensors together; the largest number where they are more.
  public var totalBytes: Int { Self.sum(of: infos) { $0.byteCount ?? 0 } }

  /// The elements of all tensors together; the largest number where they are more.
  public var totalElements: Int { Self.sum(of: infos) { $0.shape.elementCount } }

  /// Makes room for so many tensors at once.
  public mutating func reserveCapacity(_ count: Int) {
    names.reserveCapacity(count)
    infos.reserveCapacity(count)
    table.reserveCapacity(count, names: names)
  }

  /// Appends a tensor, or describes one of that name anew in its old place.
  ///
  /// - Returns: false where the name was there already.
  @discardableResult
  public mutating func set(_ name: TensorName, _ info: TensorInfo) -> Bool {
    if let place = table.append(name, in: names) {
      infos[place] = info
      return false
    }
    names.append(name)
    infos.append(info)
    return true
  }

  /// Removes the tensors that a predicate names.
  public mutating func removeAll(where isRemoved: (TensorName) -> Bool) {
    var rest = Manifest(metadata: metadata)
    for (name, info) in zip(names, infos) where !isRemoved(name) { rest.set(name, info) }
    self = rest
  }

  /// Sparse files may claim more than a number holds.
  private static func sum(of infos: [TensorInfo], _ count: (TensorInfo) -> Int) -> Int {
    infos.reduce(0) { total, info in
      let (sum, overflow) = total.addingReportingOverflow(count(info))
      return overflow ? .max : sum
    }
  }
}
