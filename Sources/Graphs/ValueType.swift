public import KaratTensors

/// One extent of a value in a graph: a number, or a symbol that is bound when the graph runs.
public enum Extent: Sendable, Hashable, CustomStringConvertible {
  /// Known when the graph is traced.
  case fixed(Int)
  /// How many sequences run together.
  case batch
  /// How many tokens each sequence has in this run.
  case length
  /// How many tokens reach an expert, as the router before it says while the graph runs.
  case routed(expert: Int)

  /// The number, or the symbol's name.
  public var description: String {
    switch self {
    case .fixed(let extent): String(extent)
    case .batch: "batch"
    case .length: "length"
    case .routed(let expert): "rows of expert \(expert)"
    }
  }
}

/// The element type and extents of a value in a graph.
public struct ValueType: Sendable, Hashable, CustomStringConvertible {
  /// The type of the elements while the graph runs.
  public let dtype: DType
  /// The extents, outermost first.
  public let extents: [Extent]

  /// Describes a value.
  public init(_ dtype: DType, _ extents: [Extent]) {
    self.dtype = dtype
    self.extents = extents
  }

  /// Describes a value whose extents are all numbers.
  public init(_ dtype: DType, _ dimensions: Int...) {
    self.init(dtype, dimensions.map(Extent.fixed))
  }

  /// The type as it is printed, such as `F32[batch, length, 576]`.
  public var description: String {
    dtype.rawValue + "[" + extents.map(\.description).joined(separator: ", ") + "]"
  }

  /// The innermost extent, where it is a number.
  package var features: Int? {
    guard case .fixed(let extent)? = extents.last else { return nil }
    return extent
  }

  /// Whether its rows are those that reach an expert.
  package var isRouted: Bool {
    if case .routed? = extents.first { true } else { false }
  }

  /// The same outer extents with another type or innermost extent.
  package func with(dtype: DType? = nil, features: Int? = nil) -> ValueType {
    let innermost = features.map { [Extent.fixed($0)] } ?? extents.suffix(1)
    return ValueType(dtype ?? self.dtype, extents.dropLast() + innermost)
  }

  /// The extents in numbers.
  package func shape(_ binding: Binding) -> Shape {
    Shape(
      extents.map { extent in
        switch extent {
        case .fixed(let number): number
        case .batch: binding.batch
        case .length: binding.length
        case .routed: binding.routed
        }
      }
    )
  }
}

/// The numbers behind a graph's symbols in one run.
package struct Binding: Sendable, Hashable {
  /// How many sequences run together.
  package var batch: Int
  /// How many tokens each sequence has in this run.
  package var length: Int
  /// How many tokens of each sequence stand in the cache already.
  package var start: Int
  /// How many tokens reach the expert that the node at hand belongs to.
  package var routed = 0

  package init(batch: Int, length: Int, start: Int = 0) {
    self.batch = batch
    self.length = length
    self.start = start
  }
}
