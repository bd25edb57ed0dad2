import KaratBytes
import Foundation
import KaratDatasets
import KaratEngine
public import KaratGraphs
import KaratKernels
import KaratTensors

/// Moves the spread of activation channels into the weights that read them, without changing what
/// the model computes (Xiao et al., 2023).
///
/// Channel j is divided by `max|x_j|^α / max|w_j|^(1−α)`. With `alpha: search`, each group of
/// layers takes the α with the least error of its outputs in the integer arithmetic that will run,
/// over sampled rows that include all extremes. Works block by block. Experts are left as they are:
/// scales of single tokens follow their spread by themselves.
public struct SmoothQuant: Pass {
  /// How much of the spread moves: a number from 0 to 1, or the best for each group of layers.
  public enum Alpha: Sendable, Hashable, Codable {
    /// The best for each group.
    case search
    /// One number for all.
    case fixed(Double)

    /// Reads a number or the word `search`.
    public init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let number = try? value.decode(Double.self) {
        self = .fixed(number)
      } else if try value.decode(String.self) == "search" {
        self = .search
      } else {
        throw DecodingError.dataCorruptedError(
          in: value,
          debugDescription: "a number from 0 to 1, or 'search', is needed"
        )
      }
    }

    /// Writes a number or the word `search`.
    public func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .search: try value.encode("search")
      case .fixed(let number): try value.encode(number)
      }
    }
  }

  /// The name in recipes.
  public static let name = "smooth-quant"
  /// One sentence on what it does.
  public static let summary = "Move the spread of activation channels into the weights."
  /// The names of its options.
  public static let optionNames = CodingKeys.allCases.map(\.stringValue)
  /// It runs the model.
  public static let needsCalibrationText = true

  /// How much of the spread moves.
  public var alpha: Alpha = .search
  /// How many windows of the calibration text to run at most.
  public var windows: Int = 32
  /// Tokens of one window; fewer where the model was made for fewer.
  public var length: Int = 512

  enum CodingKeys: String, CodingKey, CaseIterable {
    case alpha, windows, length
  }

  /// Searches α over 32 windows of 512 tokens.
  public init() {}

  /// Reads the options of a recipe.
  public init(from decoder: any Decoder) throws {
    let options = try decoder.container(keyedBy: CodingKeys.self)
    alpha = try options.option(.alpha, default: alpha)
    windows = try options.option(.windows, default: windows)
    length = try options.option(.length, default: length)
  }

  /// Gives the rescaled model.
  public func apply(to model: Model, in context: PassContext) throws -> Model {
    if case .fixed(let alpha) = alpha {
      try require((0...1).contains(alpha), "alpha is \(alpha); a number from 0 to 1 is needed.")
    }
    try require(windows > 0 && length > 0, "windows and length must be positive.")
    let windows = try context.windows(count: windows, length: length)
    let layers = context.layers(of: model.graph).filter { $0.takesCodes && !$0.isRouted }
    let groups = model.graph.smoothingGroups(among: layers)
    try requireLayer(
      !groups.isEmpty,
      in: model,
      "no linear layer reads a value that can be rescaled."
    )

    let executor = Executor(model, threads: context.threads, memory: context.memory)
    var run = try StagedRun(executor, windows: windows)
    let total = windows.reduce(0) { $0 + $1.count }
    var rescaling = Rescaling()
    let stages = model.graph.stages
    for (index, stage) in stages.enumerated() {
      context.progress.report(Self.name, index, of: stages.count, "blocks")
      let places = Set(stage.places)
      let own = groups.filter { places.contains($0.input.node) }
      var samples = Dictionary(
        uniqueKeysWithValues: own.map {
          ($0.input, RowSample(features: $0.sourceChannel.count, total: total))
        }
      )
      try run.run(stage, wanted: own.map(\.input)) { window, value, operand in
        guard minMax(operand.floats, count: operand.count).finite else {
          let layers = own.first { $0.input == value }?.layers ?? []
          throw PassError.notFinite(Self.name, window: window, layers: layers)
        }
        samples[value]?.add(operand)
      }
      for group in own {
        guard let sample = samples[group.input] else { continue }
        try context.memory?.requireSearch(group.layers, rows: sample)
        let factors = try factors(group, sample, model, executor.workers)
        rescaling.smooth(group, by: factors)
      }
      if own.map(\.input) == groups.suffix(own.count).map(\.input), !own.isEmpty { break }
    }
    context.progress.report(Self.name, stages.count, of: stages.count, "blocks")
    return Model(
      graph: model.graph,
      source: rescaling.applied(to: model.source, on: executor.workers)
    )
  }

  /// The factors for the channels of a group's producer.
  private func factors(
    _ group: SmoothingGroup,
    _ sample: RowSample,
    _ model: Model,
    _ workers: Workers
  ) throws -> [Float] {
    let weights = try group.layers.map { try $0.floatWeight(in: model.source, on: workers) }
    let spread = ChannelSpread(group, sample, weights, workers)
    guard sample.isFinite, weights.allSatisfy(\.isFinite) else {
      let names = group.layers.map(\.path.quoted).joined(separator: ", ")
      throw PassError(
        Self.name,
        "what \(names) reads, or a weight of theirs, holds NaN or infinity. Mend the checkpoint, "
          + "or leave the layers out with ignore."
      )
    }
    switch alpha {
    case .fixed(let alpha): return spread.factors(alpha: alpha)
    case .search:
      let error = OutputError(sample, weights: weights, on: workers)
      var best = (alpha: 0.5, loss: Double.infinity)
      func consider(_ alpha: Double) throws {
        let factors = spread.factors(alpha: alpha)
        let candidate = try error.smoothed(by: group.sourceChannel.map { factors[$0] })
        let loss = candidate.coarseRange().loss
        if loss < best.loss { best = (alpha, loss) }
      }
      for step in 3...10 { try consider(Double(step) / 10) }
      let coarse = best.alpha
      for alpha in [coarse - 0.05, coarse + 0.05] { try consider(alpha) }
      return spread.factors(alpha: best.alpha)
    }
  }
}

/// The largest magnitudes in each channel of a group's producer: of the activation, and of the
/// weights that read it.
private struct ChannelSpread {
  private var activation: [Float]
  private var weight: [Float]

  init(_ group: SmoothingGroup, _ sample: RowSample, _ weights: [Tensor], _ workers: Workers) {
    activation = Array(repeating: 0, count: group.sourceCount)
    weight = Array(repeating: 0, count: group.sourceCount)
    var columns = Array(repeating: Float(0), count: group.sourceChannel.count)
    for tensor in weights {
      tensor.withFloats { elements in
        columns.withUnsafeMutableBufferPointer { maxima in
          guard let maxima = maxima.baseAddress else { return }
          columnAbsoluteMaxima(
            x: elements,
            rows: tensor.shape[0],
            columns: tensor.shape[1],
            maximaInto: maxima,
            on: workers
          )
        }
      }
    }
    for (channel, source) in group.sourceChannel.enumerated() {
      let magnitude = max(abs(sample.lower[channel]), abs(sample.upper[channel]))
      activation[source] = max(activation[source], magnitude)
      weight[source] = max(weight[source], columns[channel])
    }
  }

  /// Factors whose geometric mean is 1, so that magnitudes stay what they were on the whole.
  func factors(alpha: Double) -> [Float] {
    let logarithms: [Double?] = zip(activation, weight).map { activation, weight in
      activation > 0 && weight > 0
        ? alpha * log(Double(activation)) - (1 - alpha) * log(Double(weight)) : nil
    }
    let present = logarithms.compactMap(\.self)
    let mean = present.reduce(0, +) / Double(max(present.count, 1))
    return logarithms.map { $0.map { Float(exp(min(max($0 - mean, -20), 20))) } ?? 1 }
  }
}

extension Tensor {
  /// Whether no element is NaN or infinite.
  fileprivate var isFinite: Bool {
    withFloats { minMax($0, count: shape.elementCount).finite }
  }
}
