import ArgumentParser
import Karat

struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill",
    abstract: "Make a smaller student of a model, and train it on what the model gives.",
    discussion: """
      The student begins with the teacher's own weights; --student names a config.json of the same \
      family instead of sizes. It is an ordinary checkpoint. Training that was interrupted goes on from \
      OUTPUT.training.
      """
  )

  @Argument(help: "The model to learn from.")
  var teacher: String

  @Argument(help: "The folder to write.")
  var output: String

  @Option(help: "The text to learn from; of an encoder each line by itself.")
  var data: String

  @Option(help: "How many layers the student keeps.")
  var layers: Int?

  @Option(help: "Which layers it keeps, such as 0,2,5.", transform: numbers(in:))
  var keepLayers: [Int]?

  @Option(help: "Neurons of its feed-forward layers.")
  var feedForward: Int?

  @Option(help: "Neurons of one of its experts.")
  var expertFeedForward: Int?

  @Option(help: "Its query heads.")
  var heads: Int?

  @Option(help: "Channels of its states.")
  var hidden: Int?

  @Option(help: "Experts of its sparse layers.")
  var experts: Int?

  @Option(help: "Neurons of the one layer that takes the place of all experts.")
  var dense: Int?

  @Flag(help: "Merge experts that do not stay into those whose routing is most like theirs.")
  var merge = false

  @Option(help: "The student's config.json, in the place of sizes.")
  var student: String?

  @Flag(help: "Take nothing from the teacher: the student of --student begins with random numbers.")
  var fresh = false

  @Flag(help: "Keep what matters most to the teacher, measured on the text.")
  var byImportance = false

  @Option(help: "How many sequences the teacher writes, to learn on beside the text.")
  var written: Int?

  @Option(help: "The part of the examples that the student writes itself, from 0 to 1.")
  var onPolicy: Double?

  @Option(help: "What the distance of states behind layers is multiplied by.")
  var states: Double?

  @Option(help: "What the difference of attention relations in the last layer is multiplied by.")
  var relations: Double?

  @Option(help: "What the cross-entropy with the text is multiplied by.")
  var text: Double?

  @Option(help: "What the divergence from the teacher is multiplied by.")
  var divergence: Double?

  @Option(help: "What the logits of both are divided by.")
  var temperature: Double?

  @Option(help: "A held-out text, or pairs in a .tsv file, to compare teacher and student on.")
  var heldOut: String?

  @Option(help: "Decides the order of the windows, and new numbers.")
  var seed: UInt64 = 0

  @OptionGroup var training: TrainingFlags
  @OptionGroup var options: JobOptions

  func validate() throws {
    try options.check(output)
    let sizes = [layers, feedForward, expertFeedForward, heads, hidden, experts, dense].compactMap(
      \.self
    )
    if student != nil, !sizes.isEmpty || keepLayers != nil {
      throw ValidationError("--student and sizes both say what the student is; give one of them.")
    }
    if fresh, student == nil {
      throw ValidationError("--fresh needs the student's config: --student config.json.")
    }
    if student == nil, sizes.isEmpty, keepLayers == nil {
      throw ValidationError(
        "nothing says how the student is smaller: --layers, --keep-layers, --feed-forward,"
          + " --expert-feed-forward, --heads, --hidden, --experts, --dense or --student."
      )
    }
    if let size = sizes.first(where: { $0 < 1 }) {
      throw ValidationError("\(size) is no size of a student; numbers from 1 are.")
    }
  }

  func run() throws {
    var pass = Distil()
    (pass.layers, pass.keepLayers, pass.student) = (layers, keepLayers, student)
    (pass.feedForward, pass.heads, pass.hidden) = (feedForward, heads, hidden)
    (pass.experts, pass.dense, pass.expertFeedForward) = (experts, dense, expertFeedForward)
    pass.fresh = fresh
    if byImportance { pass.choose = .importance }
    pass.states = states ?? pass.states
    pass.relations = relations ?? pass.relations
    pass.text = text ?? pass.text
    pass.teacher = divergence ?? pass.teacher
    pass.temperature = temperature ?? pass.temperature
    pass.merge = merge
    pass.written = written ?? pass.written
    pass.onPolicy = onPolicy ?? pass.onPolicy
    training.apply(to: &pass.training)
    let recipe = Recipe(passes: [pass], seed: seed)
    var job = try options.job("distill", recipe, model: teacher, output: output)
    job.calibration = data
    job.data = heldOut
    job.isVerified = heldOut != nil
    // A student is smaller on purpose: what that cost is shown, and gates nothing.
    job.maximumDrop = .infinity
    try job.run()
  }
}

private func numbers(in text: String) throws -> [Int] {
  let numbers = text.split(separator: ",").map { Int($0) }
  guard !numbers.isEmpty, numbers.allSatisfy({ $0 != nil }) else {
    throw ValidationError("--keep-layers takes numbers such as 0,2,5, not '\(text)'.")
  }
  return numbers.compactMap(\.self)
}
