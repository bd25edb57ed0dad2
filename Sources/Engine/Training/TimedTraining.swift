public import KaratGraphs
import KaratKernels
import KaratTensors

/// Takes steps of AdamW on one window of tokens, all parameters of a decoder learning; for timing.
///
/// Holds 16 bytes for each parameter and the values of a step.
public final class TimedTraining {
  private let trainer: Trainer
  private var step = 0

  /// Prepares to train.
  ///
  /// - Parameters:
  ///   - model: a decoder in floating point.
  ///   - tokens: how many tokens the window has, from 2.
  ///   - arithmetic: in which numbers matrices are multiplied.
  ///   - threads: how many threads to run on, or nil for one on each core.
  /// - Throws: `EngineError` where the model has no head to judge, `CheckpointError` where a parameter
  ///   cannot be pulled.
  public init(
    _ model: Model,
    tokens: Int,
    arithmetic: TrainingOptions.Arithmetic = .f32,
    threads: Int? = nil
  ) throws {
    let workers = threads.map { Workers(threads: max($0, 1)) } ?? .automatic
    let parameters = try ParameterSet(model.graph, model.source, on: workers) { _ in true }
    let vocabulary = HeadLoss.vocabulary(of: model.graph) ?? 1
    let task = try DecoderTask(
      model.graph,
      parameters,
      // Any tokens do: the arithmetic does not depend on which they are.
      windows: [(0..<max(tokens, 2)).map { Int32($0 * 7 % vocabulary) }],
      head: try HeadLoss(model.graph),
      on: workers
    )
    var options = TrainingOptions()
    options.arithmetic = arithmetic
    (options.steps, options.batch, options.learningRate) = (1 << 20, 1, 1e-5)
    trainer = try Trainer(task, options, seed: 0, on: workers)
  }

  /// Takes a step.
  ///
  /// - Throws: `EngineError` where the loss is no number.
  public func takeStep() throws {
    _ = try trainer.take(step)
    step += 1
  }
}
