import KaratBytes
public import KaratGraphs
import KaratDatasets
import KaratEngine
import KaratTensors

/// Runs the model over calibration text and chooses a static range for each linear layer's input.
///
/// Works block by block: the parameters of one block are in memory at a time.
public struct Calibrate: Pass {
  /// The name in recipes.
  public static let name = "calibrate"
  /// One sentence on what it does.
  public static let summary = "Run the model over text and choose static activation ranges."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)
  /// It runs the model.
  public static let needsCalibrationText = true
  /// It only looks.
  public static let changesOutputs = false

  /// How the range is chosen.
  public var observer: Observer = .mse
  /// How many windows of the text to run at most.
  public var windows: Int = 32
  /// Tokens of one window; fewer where the model was made for fewer.
  public var length: Int = 512

  /// Whether the layers of experts get static ranges too; otherwise their activations are scaled
  /// token by token.
  public var experts: Bool = false

  enum CodingKeys: String, CodingKey, CaseIterable {
    case observer, windows, length, experts
  }

  /// Least squared error over 32 windows of 512 tokens.
  public init() {}

  /// A given observer over 32 windows of 512 tokens.
  public init(observer: Observer) {
    self.observer = observer
  }

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let options = try decoder.container(keyedBy: CodingKeys.self)
    observer = try options.option(.observer, default: observer)
    windows = try options.option(.windows, default: windows)
    length = try options.option(.length, default: length)
    experts = try options.option(.experts, default: experts)
  }

  /// Gives the model with the ranges it found.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    try require(windows > 0 && length > 0, "windows and length must be positive.")
    let windows = try context.windows(count: windows, length: length)
    let layers = context.layers(of: model.graph).filter {
      $0.takesCodes && (experts || !$0.isRouted)
    }
    try requireLayer(
      !layers.isEmpty,
      in: model,
      "no linear layer is left to calibrate after 'ignore'."
    )
    let readers = Dictionary(grouping: layers, by: \.input)

    let executor = Executor(model, threads: context.threads, memory: context.memory)
    var run = try StagedRun(executor, windows: windows)
    let total = windows.reduce(0) { $0 + $1.count }
    var ranges: [String: QuantizationRange] = [:]
    var routers = RouterCounters(model.graph.routers)
    let stages = model.graph.stages
    for (index, stage) in stages.enumerated() {
      context.progress.report(Self.name, index, of: stages.count, "blocks")
      let places = Set(stage.places)
      let observed = readers.keys.filter { places.contains($0.node) }.sorted()
      let isLast =
        ranges.count + observed.reduce(0) { $0 + (readers[$1]?.count ?? 0) } == layers.count
      var statistics = Dictionary(
        uniqueKeysWithValues: observed.map { ($0, ActivationStatistics()) }
      )
      var samples: [ValueID: RowSample] = [:]
      if observer == .output {
        for value in observed {
          let features = model.graph.type(of: value).features ?? 0
          samples[value] = RowSample(features: features, total: total)
        }
      }
      let choices = routers.wanted(in: stage)
      try run.run(stage, wanted: observed + choices) { window, value, operand in
        guard statistics[value] != nil else {
          routers.add(value, operand)
          return
        }
        guard statistics[value]?.observe(operand.floats, count: operand.count) == true else {
          throw PassError.notFinite(Self.name, window: window, layers: readers[value] ?? [])
        }
        samples[value]?.add(operand)
      }
      for value in observed {
        let layers = readers[value] ?? []
        guard let found = statistics[value], !found.isEmpty else { continue }
        var range = found.range(observer)
        if let sample = samples[value] {
          try context.memory?.requireSearch(layers, rows: sample)
          let weights = try layers.map {
            try $0.floatWeight(in: model.source, on: executor.workers)
          }
          range = try OutputError(sample, weights: weights, on: executor.workers).bestRange()
        }
        for layer in layers { ranges[layer.path.text] = range }
      }
      let unreached = observed.filter { statistics[$0]?.isEmpty == true }
        .flatMap { readers[$0] ?? [] }
      takePeersRanges(unreached, &ranges)
      if isLast { break }
    }
    context.progress.report(Self.name, stages.count, of: stages.count, "blocks")
    var result = model
    result.calibration = Calibration(ranges: ranges, routers: routers.statistics)
    return result
  }

  /// Gives layers of experts that no token reached the range that spans those of their peers: the
  /// same layers of the block's other experts.
  private func takePeersRanges(
    _ unreached: [LinearLayer],
    _ ranges: inout [String: QuantizationRange]
  ) {
    guard !unreached.isEmpty else { return }
    var peers: [String: (lower: Float, upper: Float)] = [:]
    for (path, range) in ranges {
      let role = Self.role(path)
      let span = peers[role] ?? (0, 0)
      peers[role] = (min(span.lower, range.lower), max(span.upper, range.upper))
    }
    for layer in unreached {
      let span = peers[Self.role(layer.path.text)] ?? (0, 0)
      ranges[layer.path.text] = QuantizationRange(spanning: span.lower, span.upper)
    }
  }

  /// A layer's path with the number of its expert, the last in it, left out.
  private static func role(_ path: String) -> String {
    var parts = path.split(separator: ".", omittingEmptySubsequences: false)
    if let place = parts.lastIndex(where: { Int($0) != nil }) { parts[place] = "*" }
    return parts.joined(separator: ".")
  }
}
