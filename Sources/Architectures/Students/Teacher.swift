import KaratBytes
package import KaratGraphs
import KaratTensors

/// A model that students are made of, as its config and graph describe it.
package struct Teacher {
  /// Its family.
  package let architecture: Architecture
  /// What its config says, and its tensors' names.
  package let config: Config
  /// What it computes.
  package let graph: Graph
  /// How many layers it has, those behind the decoder that predict further tokens left out.
  package let layers: Int
  /// How many layers behind the decoder predict further tokens.
  package let predictionLayers: Int
  /// What its blocks are made of, by their number.
  let blocks: [BlockFacts]

  /// Looks at a model.
  ///
  /// - Throws: `StudentError` where its weights are codes, of which no parts can be taken.
  package init(
    _ architecture: Architecture,
    _ config: Config,
    graph: Graph
  ) throws(StudentError) {
    self.architecture = architecture
    self.config = config
    self.graph = graph
    layers = graph.layerCount
    blocks = BlockFacts.all(of: graph)
    predictionLayers = max(blocks.count - layers, 0)
    if let coded = graph.parameters.first(where: { $0.type.dtype != .f32 }) {
      throw StudentError(
        "\(config.file): \(coded.name.quoted) holds codes; a student takes parts of numbers. Make "
          + "it of the model before it was quantized, or convert it: karat convert --dtype bf16."
      )
    }
  }
}

/// What a block of a model is made of, read from its graph.
struct BlockFacts: Sendable, Hashable {
  /// Query heads, and heads of keys and values.
  var heads = 0
  var keyValueHeads = 0
  /// Elements of a query head.
  var headSize = 0
  /// Whether keys and values are made of latents.
  var isLatent = false
  /// How experts are chosen, or nil where the block is dense.
  var route: Route?
  /// How many experts there are.
  var experts = 0
  /// How many tokens back attention sees, or nil for all.
  var window: Int?
  /// The router's module.
  var router: TensorName?

  /// Where an expert's matrices are, by its number; nil for those of the shared ones, where there may be
  /// some.
  var expertTensors: (Int?) -> ExpertTensors? {
    guard let router, router.text.hasSuffix(".gate") else { return { _ in nil } }
    let base = TensorName(String(router.text.dropLast(".gate".count)))
    let isMixtral = base.text.hasSuffix("block_sparse_moe")
    let names =
      isMixtral ? GatedFeedForward.Names(gate: "w1", up: "w3", down: "w2") : .init()
    return { expert in
      ExpertTensors(expert.map { base / "experts" / "\($0)" } ?? base / "shared_experts", names)
    }
  }

  /// The facts of all blocks of a graph, in order.
  static func all(of graph: Graph) -> [BlockFacts] {
    var blocks: [BlockFacts] = []
    for node in graph.nodes {
      guard let block = node.block else { continue }
      while blocks.count <= block { blocks.append(BlockFacts()) }
      switch node.op {
      case .attention(let attention):
        blocks[block].heads = attention.heads
        blocks[block].keyValueHeads = attention.keyValueHeads
        blocks[block].headSize = (graph.type(of: node.inputs[0]).features ?? 0) / attention.heads
        blocks[block].window = attention.window
      case .latentAttention(let attention):
        blocks[block].heads = attention.heads
        blocks[block].keyValueHeads = attention.heads
        blocks[block].headSize = (graph.type(of: node.inputs[0]).features ?? 0) / attention.heads
        blocks[block].isLatent = true
      case .route(let route):
        blocks[block].route = route
        blocks[block].experts = graph.type(of: node.inputs[0]).features ?? 0
        blocks[block].router = graph.node(of: node.inputs[0]).path
      default: break
      }
    }
    return blocks
  }
}
