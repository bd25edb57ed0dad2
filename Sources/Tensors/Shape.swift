/// The extents of a tensor, outermost first; rank 0 is a single element.
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extents, outermost first; none is negative.
  public let dimensions: [Int]
  /// The product of the extents; 1 for rank 0.
  public let elementCount: Int

  /// Makes a shape from numbers that come from a file.
  ///
  /// - Returns: nil where an extent is negative or the product of the extents overflows. The
  ///   product is taken in order, so `[2^40, 2^40, 0]` is refused as the reference reader of
  ///   safetensors refuses it.
  public init?(checking dimensions: [Int]) {
    var count = 1
    for extent in dimensions {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      count = product
    }
    self.dimensions = dimensions
    self.elementCount = count
  }

  /// Makes a shape from extents that the program itself chose.
  ///
  /// - Precondition: no extent is negative, and their product does not overflow.
  public init(_ dimensions: [Int]) {
    guard let shape = Shape(checking: dimensions) else {
      preconditionFailure("the shape \(dimensions) has no element count")
    }
    self = shape
  }

  /// Makes a shape from its extents, outermost first.
  public init(arrayLiteral dimensions: Int...) {
    self.init(dimensions)
  }

  /// How many dimensions there are.
  public var rank: Int { dimensions.count }

  /// The extent of one dimension, counted from the outermost.
  public subscript(_ axis: Int) -> Int { dimensions[axis] }

  /// The shape as it is written in messages, such as `[32, 64]`.
  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
