public import KaratTensors

/// A graph and the source that feeds its parameters: what a pass takes and gives.
public struct Model: Sendable {
  /// What is computed.
  public var graph: Graph
  /// Where the parameters come from.
  public var source: any TensorSource
  /// The weights before they were rounded to codes, where a pass rounded them.
  public var unrounded: (any TensorSource)?
  /// What calibration found out about the activations, where it has run.
  public var calibration: Calibration?

  /// Puts a graph and its parameters together.
  public init(graph: Graph, source: any TensorSource, calibration: Calibration? = nil) {
    self.graph = graph
    self.source = source
    self.calibration = calibration
  }
}

/// The ranges of the activations that linear layers read, found by running a model over text.
public struct Calibration: Sendable, Hashable, Codable {
  /// The scale and zero point of the input of each linear layer, by the layer's path.
  public var ranges: [String: QuantizationRange]
  /// How often each router chose each expert; experts that were not reached among them.
  public var routers: [RouterStatistics]

  /// Holds the ranges of some layers, and what routers chose.
  public init(ranges: [String: QuantizationRange] = [:], routers: [RouterStatistics] = []) {
    self.ranges = ranges
    self.routers = routers
  }
}
